-- current_epoch --
-- One row: the epoch that cursors belong to; a restored or crashed cluster gets a new one.
SELECT public.inventory_current_epoch()::text AS epoch;

-- first_cursor --
-- One row: a cursor that has seen all that is committed now.
SELECT pg_current_snapshot()::text AS cursor;

-- changes_since --
-- At least one row: next cursor, epoch now, and a change that the cursor had not seen (id NULL: none), in the
-- order of id. One statement is one snapshot. At most %(limit)s changes.
SELECT pg_current_snapshot()::text AS cursor,
       (SELECT id::text FROM public.inventory_epoch WHERE relation = 'public.inventory'::regclass) AS epoch,
       c.id, c.operation, c.item_id,
       c.before_name, public.inventory_fold(c.before_name) AS before_folded, c.before_quantity, c.before_unit,
       c.before_location, c.before_reorder_level,
       c.after_name, public.inventory_fold(c.after_name) AS after_folded, c.after_quantity, c.after_unit,
       c.after_location, c.after_reorder_level
  FROM (SELECT 1) AS always
  LEFT JOIN (
       SELECT * FROM (
           SELECT * FROM public.inventory_changes
            WHERE xid >= pg_snapshot_xmax(%(cursor)s::pg_snapshot)
           UNION ALL
           SELECT * FROM public.inventory_changes
            WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip(%(cursor)s::pg_snapshot)))) AS unseen
        LIMIT %(limit)s) AS c ON TRUE
 ORDER BY c.id;
