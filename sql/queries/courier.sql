-- courier_tune --
-- Settings for the courier's connection: the server frees the locks of a process that has fallen silent, and a commit
-- that only notifies need not wait for the disk.
SELECT set_config(name, value, FALSE)
  FROM (VALUES ('idle_session_timeout', %(silence_ms)s::text), ('synchronous_commit', 'off')) AS wanted (name, value);

-- courier_seat --
-- One row: whether this session is the courier from now on. It is asked for when it is busy, and where one is missed.
SELECT CASE WHEN %(is_busy)s OR EXISTS (SELECT FROM public.inventory_courier)
            THEN pg_try_advisory_lock(301858819) ELSE FALSE END AS taken;

-- courier_promise --
-- One row: the cursor from which on everything will be announced; that of a courier who did not come to its end, if any.
INSERT INTO public.inventory_courier AS promise (announced_to, epoch)
SELECT cursor, epoch FROM public.inventory_position
    ON CONFLICT (singleton) DO UPDATE
   SET announced_to = CASE promise.epoch WHEN excluded.epoch THEN promise.announced_to ELSE excluded.announced_to END,
       epoch = excluded.epoch
RETURNING announced_to::text AS cursor;

-- courier_hush --
-- One row: whether writers hold still from now on. Never waits, so that nobody ever queues behind this lock.
SELECT pg_try_advisory_lock(301858818) AS hushed;

-- courier_unhush --
-- One row: writers ring again.
SELECT pg_advisory_unlock(301858818) AS done;

-- courier_barrier --
-- One row: a transaction that comes after all that have looked at the lock so far.
SELECT pg_current_xact_id()::text AS barrier;

-- courier_round --
-- Announces what the cursor has not seen: the latest change of each item; beyond %(limit)s items, one word for all.
-- One row: the next cursor, how many transactions it saw more, how many messages that were, and whether all
-- transactions before the barrier have ended. Like changes_since, it passes over transactions that are open still.
WITH unseen AS MATERIALIZED (
    SELECT *
      FROM (SELECT * FROM public.inventory_changes
             WHERE xid >= pg_snapshot_xmax(%(cursor)s::pg_snapshot)
               AND xid < pg_snapshot_xmax(pg_current_snapshot())
            UNION ALL
            SELECT * FROM public.inventory_changes
             WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip(%(cursor)s::pg_snapshot)
                                    EXCEPT SELECT pg_snapshot_xip(pg_current_snapshot())))) AS logged
     LIMIT 5 * %(limit)s + 1
), latest AS MATERIALIZED (
    SELECT DISTINCT ON (item_id) * FROM unseen ORDER BY item_id, id DESC
), size AS MATERIALIZED (
    SELECT (SELECT count(*) FROM latest) > %(limit)s OR (SELECT count(*) FROM unseen) > 5 * %(limit)s AS is_bulk
), announced AS MATERIALIZED (
    SELECT count(pg_notify('messages_channel', payload)) AS messages
      FROM (SELECT id, public.inventory_payload(latest::public.inventory_changes) AS payload
              FROM latest WHERE NOT (SELECT is_bulk FROM size)
            UNION ALL
            SELECT max(id), jsonb_build_object('op', 'bulk', 'count', count(*), 'change', max(id))::text
              FROM latest WHERE (SELECT is_bulk FROM size)
            HAVING count(*) > 0
             ORDER BY id) AS told
     WHERE pg_notification_queue_usage() <= 0.5
)
SELECT pg_current_snapshot()::text AS cursor,
       (SELECT count(DISTINCT xid) FROM unseen) AS transactions,
       messages,
       (pg_snapshot_xmin(pg_current_snapshot()) > %(barrier)s::text::xid8) IS TRUE AS is_past
  FROM announced;

-- courier_keep --
-- Notes how far everything has been announced.
UPDATE public.inventory_courier SET announced_to = %(cursor)s::pg_snapshot RETURNING TRUE AS kept;

-- courier_done --
-- Nothing is owed any more.
DELETE FROM public.inventory_courier RETURNING TRUE AS done;

-- courier_leave --
-- One row: the seat is free.
SELECT pg_advisory_unlock(301858819) AS is_free;
