-- The inventory: one row per item. The constraints live here, so that every writer meets the same ones.
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

-- White space of every alphabet, and the characters that show as nothing; webapp/text.py knows the same ones.
CREATE FUNCTION public.inventory_trim(value text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN btrim(value, E' \t\n\x0b\f\r\u0085\u00a0\u1680\u180e\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u200c\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff');

-- inventory_fold(text): what names are compared, searched and sorted by. In the C locale lower() leaves
-- every letter beyond ASCII as it is, so the first collation of this server that folds them is named. The Greek
-- final sigma is put right by hand: it depends on the place in the word, and a search text is part of a word.
DO $choose$
DECLARE
    folding name;
    folds boolean;
BEGIN
    FOREACH folding IN ARRAY ARRAY['pg_c_utf8', 'und-x-icu', 'C.utf8', 'C.UTF-8', 'en_US.utf8', 'en_US.UTF-8'] LOOP
        CONTINUE WHEN NOT EXISTS (
            SELECT FROM pg_collation
             WHERE collname = folding
               AND collnamespace = 'pg_catalog'::regnamespace
               AND collencoding IN (-1, pg_char_to_encoding('UTF8')));
        EXECUTE format('SELECT lower(%L COLLATE pg_catalog.%I) = %L', 'ÄPFEL', folding, 'äpfel') INTO folds;
        CONTINUE WHEN NOT folds;
        EXECUTE format($body$
            CREATE FUNCTION public.inventory_fold(value text) RETURNS text
                LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
                RETURN replace(lower(normalize(public.inventory_trim(value)) COLLATE pg_catalog.%I), 'ς', 'σ')$body$, folding);
        RETURN;
    END LOOP;
    RAISE EXCEPTION 'no collation of this server folds the case of letters beyond ASCII'
        USING HINT = 'Use a PostgreSQL built with ICU, or create the locale en_US.UTF-8 and run pg_import_system_collations.';
END
$choose$;

CREATE TABLE public.inventory (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL
        CONSTRAINT inventory_name_not_empty CHECK (public.inventory_trim(name) <> '')
        CONSTRAINT inventory_name_length CHECK (char_length(name) <= 200),
    quantity bigint NOT NULL
        CONSTRAINT inventory_quantity_not_negative CHECK (quantity >= 0),
    unit text
        CONSTRAINT inventory_unit_length CHECK (char_length(unit) <= 40),
    location text
        CONSTRAINT inventory_location_length CHECK (char_length(location) <= 200),
    reorder_level bigint
        CONSTRAINT inventory_reorder_level_not_negative CHECK (reorder_level >= 0),
    code text
        CONSTRAINT inventory_code_not_empty CHECK (public.inventory_trim(code) <> '')
        CONSTRAINT inventory_code_length CHECK (char_length(code) <= 64),
    version bigint NOT NULL DEFAULT 1
        CONSTRAINT inventory_version_positive CHECK (version >= 1),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
        CONSTRAINT inventory_updated_at_plausible CHECK (updated_at BETWEEN '1970-01-01Z' AND '9000-01-01Z')
);
COMMENT ON TABLE public.inventory IS 'What is in stock. Any write shows at once on every open page.';

-- Unique regardless of case and of surrounding white space; the order of names on the page uses it too.
CREATE UNIQUE INDEX inventory_name_unique ON public.inventory ((public.inventory_fold(name)) COLLATE "C");

-- A barcode or part number; a scanner's capital letters name the same item.
CREATE UNIQUE INDEX inventory_code_unique ON public.inventory ((public.inventory_fold(code)) COLLATE "C");

-- What a search looks through. Both sides of every comparison come from here and from inventory_fold(), so that
-- whoever compares them elsewhere comes to the same result.
CREATE FUNCTION public.inventory_searchable(name text, code text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN public.inventory_fold(name) || coalesce(E'\n' || public.inventory_fold(code), '');

-- version and updated_at move exactly when a user's column does, whatever the statement says of them. Only an item
-- that comes back, because its deletion is taken back, goes on from the version it had.
CREATE FUNCTION public.inventory_first_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(pg_catalog.current_setting('inventory.undoes', TRUE), '') OPERATOR(pg_catalog.=) '' THEN
        NEW.version := 1;
    END IF;
    NEW.updated_at := pg_catalog.clock_timestamp();
    RETURN NEW;
END
$$;

CREATE FUNCTION public.inventory_next_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version OPERATOR(pg_catalog.+) 1;
    NEW.updated_at := pg_catalog.clock_timestamp();
    RETURN NEW;
END
$$;

CREATE FUNCTION public.inventory_same_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version;
    NEW.updated_at := OLD.updated_at;
    RETURN NEW;
END
$$;

CREATE FUNCTION public.inventory_refuse_new_id() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the id of an item never changes' USING ERRCODE = 'check_violation', CONSTRAINT = 'inventory_id_fixed';
END
$$;

-- What every writer meets must be callable by every writer, also where default privileges are narrow; the trigger
-- functions need no such right, and nobody shall hang them on a table of their own.
GRANT EXECUTE ON FUNCTION public.inventory_trim(text), public.inventory_fold(text) TO PUBLIC;
REVOKE EXECUTE ON FUNCTION
    public.inventory_first_version(), public.inventory_next_version(),
    public.inventory_same_version(), public.inventory_refuse_new_id() FROM PUBLIC;

-- The defaults lie within these bounds, so the trigger runs only for a statement that gives its own values.
CREATE TRIGGER inventory_version_starts
    BEFORE INSERT ON public.inventory FOR EACH ROW
    WHEN (NEW.version IS DISTINCT FROM 1
        OR (NEW.updated_at BETWEEN transaction_timestamp() AND clock_timestamp()) IS NOT TRUE)
    EXECUTE FUNCTION public.inventory_first_version();

CREATE TRIGGER inventory_id_fixed
    BEFORE UPDATE ON public.inventory FOR EACH ROW
    WHEN (OLD.id IS DISTINCT FROM NEW.id)
    EXECUTE FUNCTION public.inventory_refuse_new_id();

CREATE TRIGGER inventory_version_counts
    BEFORE UPDATE ON public.inventory FOR EACH ROW
    WHEN ((OLD.name, OLD.quantity, OLD.unit, OLD.location, OLD.reorder_level, OLD.code)
        IS DISTINCT FROM (NEW.name, NEW.quantity, NEW.unit, NEW.location, NEW.reorder_level, NEW.code))
    EXECUTE FUNCTION public.inventory_next_version();

CREATE TRIGGER inventory_version_stays
    BEFORE UPDATE ON public.inventory FOR EACH ROW
    WHEN ((OLD.name, OLD.quantity, OLD.unit, OLD.location, OLD.reorder_level, OLD.code)
        IS NOT DISTINCT FROM (NEW.name, NEW.quantity, NEW.unit, NEW.location, NEW.reorder_level, NEW.code)
        AND (OLD.version, OLD.updated_at) IS DISTINCT FROM (NEW.version, NEW.updated_at))
    EXECUTE FUNCTION public.inventory_same_version();
