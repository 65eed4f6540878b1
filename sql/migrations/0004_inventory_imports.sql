-- Files that were read and checked, and wait for somebody to say yes: kept for an hour, and nothing is lost without
-- them, so they are not worth writing to the WAL.
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

CREATE UNLOGGED TABLE public.inventory_imports (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token text NOT NULL CONSTRAINT inventory_imports_token_unique UNIQUE,
    file_name text NOT NULL,
    columns text[] NOT NULL,
    unused text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE public.inventory_imports IS 'Files that wait to be imported; they are forgotten after an hour.';

-- The rows of those files. No foreign key: it would be looked up a hundred thousand times for one file.
CREATE UNLOGGED TABLE public.inventory_import_rows (
    import_id bigint NOT NULL,
    line bigint NOT NULL,
    code text,
    name text,
    quantity bigint,
    delta bigint,
    unit text,
    location text,
    reorder_level bigint,
    code_key text COLLATE "C" GENERATED ALWAYS AS (public.inventory_fold(code)) STORED,
    name_key text COLLATE "C" GENERATED ALWAYS AS (public.inventory_fold(name)) STORED,
    PRIMARY KEY (import_id, line)
);
