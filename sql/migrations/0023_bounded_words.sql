-- Whoever may write to the inventory says by settings who changes it, how and why, and every page shows that: more words
-- than people can say through our own pages would make those pages as large as somebody likes.
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE public.inventory_changes
    ALTER COLUMN actor SET DEFAULT left(nullif(current_setting('inventory.actor', TRUE), ''), 200),
    ALTER COLUMN source SET DEFAULT left(nullif(current_setting('inventory.source', TRUE), ''), 200),
    ALTER COLUMN reason SET DEFAULT left(nullif(current_setting('inventory.reason', TRUE), ''), 500);
