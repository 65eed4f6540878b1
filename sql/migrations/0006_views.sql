-- What views read fast. On a large table this takes a while (a million items: half a minute), in which writers wait.
-- Where they must not: make the two indexes before, with these names, by CREATE INDEX CONCURRENTLY; here they are found.
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '30min';
SET LOCAL maintenance_work_mem = '256MB';

-- The same result as before, six times faster where all is ASCII: there is nothing to normalize. It is not STRICT, for
-- then CASE would keep it from being inlined; of NULL it makes NULL all the same. The collation stays the one that was
-- chosen when the database was made, for the indexes are sorted by what came out of it.
DO $faster$
DECLARE
    folding text := substring(pg_get_function_sqlbody('public.inventory_fold(text)'::regprocedure)
                              FROM 'COLLATE ([^)]+)\)');
BEGIN
    EXECUTE format($body$
        CREATE OR REPLACE FUNCTION public.inventory_fold(value text) RETURNS text
            LANGUAGE sql IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE
            RETURN CASE WHEN octet_length(value) = char_length(value)
                        THEN lower(btrim(value, E' \t\n\x0b\f\r') COLLATE "C") COLLATE %1$s
                        ELSE replace(lower(normalize(public.inventory_trim(value)) COLLATE %1$s), 'ς', 'σ') END$body$, folding);
END
$faster$;

-- The items of one place in the order of their names, and all places without a look at all items. The quantity is in
-- no index on purpose: what changes most often shall touch nothing but the row (HOT).
CREATE INDEX IF NOT EXISTS inventory_location_name
    ON public.inventory (location, (public.inventory_fold(name)) COLLATE "C");

-- A part of a name or code, of three characters or more. contrib may not be there, or the role may not be allowed to
-- create the extension; then a search reads all items, and says the same. The pending list is kept short, because
-- every search reads it, and whoever fills it up has to empty it.
DO $trigrams$
DECLARE
    home name;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        RETURN;
    END IF;
    CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;
    SELECT nspname INTO home FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace WHERE extname = 'pg_trgm';
    EXECUTE format('CREATE INDEX IF NOT EXISTS inventory_searchable_trigrams ON public.inventory'
                   ' USING gin ((public.inventory_searchable(name, code) COLLATE "C") %I.gin_trgm_ops)'
                   ' WITH (gin_pending_list_limit = 1024)', home);
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'no trigram index: %', SQLERRM;
END
$trigrams$;

-- What is known of the values in the new indexes decides between them.
ANALYZE public.inventory;
