-- backend_pid --
-- One row: which process of the server answers; behind a pooler it is not the one that was connected to.
SELECT pg_backend_pid() AS backend_pid;

-- tune --
-- Settings for a connection of our own: an index on the log is used even where its statistics lag behind, one plan does
-- for all looks (to plan one takes four times as long as to look), the server ends a statement before its reader gives
-- up, and what the role prefers elsewhere does no harm.
SELECT set_config(name, value, FALSE)
  FROM (VALUES ('enable_seqscan', 'off'), ('max_parallel_workers_per_gather', '0'), ('jit', 'off'),
               ('plan_cache_mode', 'force_generic_plan'),
               ('statement_timeout', %(limit_ms)s::text), ('idle_session_timeout', '0'),
               ('default_transaction_read_only', 'off'), ('default_transaction_isolation', 'read committed')
       ) AS wanted (name, value);

-- settle_epoch --
-- One row: whether log and cluster belong together now; false: there is more to do, ask again.
SELECT public.inventory_settle_epoch() AS settled;

-- position --
-- One row: a cursor that has seen all that is committed now, and the epoch it belongs to.
SELECT cursor::text, epoch FROM public.inventory_position;

-- changes_since --
-- At least one row: next cursor, epoch now, and a change that the cursor had not seen (id NULL: none), in the
-- order of id. One statement is one snapshot. At most %(limit)s changes. The epoch is NULL where not everything is
-- logged at present, and where the cursor comes from this cluster's future (transactions were taken back), or from
-- before what was removed. Transactions that are open still are passed over, for they may have left a million rows that
-- only a look at each shows to be invisible. Where a change keeps all texts, as most do, those of before are not told a
-- second time.
SELECT now_at.cursor::text AS cursor,
       CASE WHEN now_at.is_told
             AND pg_snapshot_xmax(%(cursor)s::pg_snapshot) <= pg_snapshot_xmax(now_at.cursor)
             AND NOT EXISTS (SELECT FROM public.inventory_pruning
                              WHERE pruned_to >= pg_snapshot_xmin(%(cursor)s::pg_snapshot))
            THEN now_at.epoch END AS epoch,
       c.id, c.xid::text::bigint AS xid, c.operation, c.item_id,
       c.before_name, c.before_quantity, c.before_unit, c.before_location, c.before_reorder_level, c.before_code,
       public.inventory_searchable(c.before_name, c.before_code) AS before_searchable,
       public.inventory_fold(c.before_name) AS before_folded_name,
       public.inventory_fold(c.before_unit) AS before_folded_unit,
       public.inventory_fold(c.before_location) AS before_folded_location,
       public.inventory_fold(c.before_code) AS before_folded_code,
       c.after_name, c.after_quantity, c.after_unit, c.after_location, c.after_reorder_level, c.after_code,
       public.inventory_searchable(c.after_name, c.after_code) AS after_searchable,
       public.inventory_fold(c.after_name) AS after_folded_name,
       public.inventory_fold(c.after_unit) AS after_folded_unit,
       public.inventory_fold(c.after_location) AS after_folded_location,
       public.inventory_fold(c.after_code) AS after_folded_code
  FROM public.inventory_position AS now_at
  LEFT JOIN (
       SELECT id, xid, operation, item_id,
              CASE WHEN NOT keeps_texts THEN before_name END AS before_name, before_quantity,
              CASE WHEN NOT keeps_texts THEN before_unit END AS before_unit,
              CASE WHEN NOT keeps_texts THEN before_location END AS before_location, before_reorder_level,
              CASE WHEN NOT keeps_texts THEN before_code END AS before_code,
              after_name, after_quantity, after_unit, after_location, after_reorder_level, after_code
         FROM (
           SELECT *, (before_name, before_unit, before_location, before_code)
                  IS NOT DISTINCT FROM (after_name, after_unit, after_location, after_code) AS keeps_texts
             FROM (
               SELECT * FROM public.inventory_changes
                WHERE xid >= pg_snapshot_xmax(%(cursor)s::pg_snapshot)
                  AND xid < pg_snapshot_xmax(pg_current_snapshot())
               UNION ALL
               SELECT * FROM public.inventory_changes
                WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip(%(cursor)s::pg_snapshot)
                                       EXCEPT SELECT pg_snapshot_xip(pg_current_snapshot())))) AS unseen
            LIMIT %(limit)s) AS compared) AS c ON TRUE
 ORDER BY c.id;
