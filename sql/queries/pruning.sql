-- move_horizon --
-- No row, or TRUE: changes that were made before %(before)s may be removed from now on, but for those of transactions
-- that a reader of now, or the courier, may not have seen. %(from_id)s is an id that only later changes have.
INSERT INTO public.inventory_pruning AS horizon (pruned_to)
SELECT old.xid
  FROM (SELECT xid FROM public.inventory_changes
         WHERE id < %(from_id)s AND changed_at < %(before)s
           AND xid < pg_snapshot_xmin(pg_current_snapshot())
           AND xid < ALL (SELECT pg_snapshot_xmin(announced_to) FROM public.inventory_courier)
         ORDER BY id DESC
         LIMIT 1) AS old
    ON CONFLICT (singleton) DO UPDATE
   SET pruned_to = greatest(horizon.pruned_to, excluded.pruned_to), moved_at = clock_timestamp()
RETURNING TRUE AS moved;

-- prune --
-- One row: how many old changes were removed, at most %(limit)s. Nothing while another process does it, or before the
-- horizon has stood for %(grace_s)s seconds; a change that somebody has locked is left for the next time.
WITH removed AS (
    DELETE FROM public.inventory_changes
     WHERE id IN (SELECT id
                    FROM public.inventory_changes
                   WHERE (SELECT pg_try_advisory_xact_lock(301858820))
                     AND id < %(from_id)s AND changed_at < %(before)s
                     AND xid <= (SELECT pruned_to FROM public.inventory_pruning
                                  WHERE moved_at <= clock_timestamp() - make_interval(secs => %(grace_s)s))
                   ORDER BY id
                   LIMIT %(limit)s
                     FOR UPDATE SKIP LOCKED)
    RETURNING id)
SELECT count(*) AS removed FROM removed;
