-- History may be removed after a time. A reader whose cursor is so old that it would miss what is gone must be told.
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

-- Changes of transactions up to pruned_to may be gone. It is moved first, and only a good while later are they removed,
-- so that whoever was found to have a good cursor reads all it asks for. UNLOGGED as the epoch is, for what empties
-- this also makes all cursors worthless; no row: nothing was removed.
CREATE UNLOGGED TABLE public.inventory_pruning (
    singleton boolean PRIMARY KEY DEFAULT TRUE CHECK (singleton),
    pruned_to xid8 NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE public.inventory_pruning IS 'A row: changes of transactions up to this one may have been removed.';
