-- Where many items match a search, each is looked through, and three quarters of that was to make its text: most of it to
-- trim name and code by themselves. Blanks around them matter to no search, whose text has none around it, and to no
-- trigram: what is ASCII is only put together and folded, and the index stays as it is.
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

CREATE OR REPLACE FUNCTION public.inventory_searchable(name text, code text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN octet_length(name) = char_length(name) AND (octet_length(code) = char_length(code)) IS NOT FALSE
                THEN lower((name || coalesce(E'\n' || code, '')) COLLATE "C")
                ELSE public.inventory_fold(name) || coalesce(E'\n' || public.inventory_fold(code), '') END;
