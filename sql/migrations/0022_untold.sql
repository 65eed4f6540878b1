-- What no trigger tells of is noticed: the definition of what is logged is a part of the epoch, and whether all of it
-- is logged at present is said beside it.
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

-- ALTER COLUMN ... TYPE ... USING gives each row a new value, and triggers may be off for a while, even within one
-- transaction. Either writes the rows of the catalog anew, so that these have another xmin; it is then not known what
-- happened meanwhile. Nothing is logged for an event (4: INSERT, 8: DELETE, 16: UPDATE, 32: TRUNCATE) without a trigger
-- that is on, and nothing of the rows of tables that inherit from the inventory, which SELECT shows with its own.
CREATE OR REPLACE VIEW public.inventory_position AS
SELECT pg_current_snapshot() AS cursor,
       (SELECT concat_ws(' ', id, extract(EPOCH FROM pg_postmaster_start_time()), definition.mark)
          FROM public.inventory_epoch,
               LATERAL (SELECT sum(xmin::text::bigint) AS mark
                          FROM (SELECT xmin FROM pg_trigger
                                 WHERE tgrelid = relation AND tgname LIKE 'inventory\_log\_%'
                                UNION ALL
                                SELECT xmin FROM pg_attribute
                                 WHERE attrelid = relation
                                   AND attname IN ('id', 'name', 'quantity', 'unit', 'location', 'reorder_level', 'code',
                                                   'version', 'updated_at')) AS part) AS definition
         WHERE relation = to_regclass('public.inventory')
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS epoch,
       (SELECT bit_or(tgtype) & 60 = 60
          FROM pg_trigger
         WHERE tgrelid = to_regclass('public.inventory')
           AND tgname LIKE 'inventory\_log\_%' AND tgenabled IN ('O', 'A'))
       AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = to_regclass('public.inventory')) AS is_told;
