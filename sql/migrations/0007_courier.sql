-- Writers do not pay for the live feed. A transaction that notifies holds one lock of the whole cluster while it
-- commits, disk included, so that busy writers queue for it. Therefore they ring only while it is calm; when it is busy,
-- one of the web processes, the courier, reads the log every few milliseconds and notifies on behalf of all. It says
-- so by holding the advisory lock 301858818; another one, 301858819, makes sure that there is one courier.
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

-- What the courier owes: all that this snapshot has not seen may be unannounced. There is a row while one is at work;
-- who finds one that no courier cares for goes on from there. It is worth nothing after a crash, which ends all
-- connections that could have listened.
CREATE UNLOGGED TABLE public.inventory_courier (
    singleton boolean PRIMARY KEY DEFAULT TRUE CHECK (singleton),
    announced_to pg_snapshot NOT NULL,
    epoch text NOT NULL
);
COMMENT ON TABLE public.inventory_courier IS 'A row: changes since this snapshot may not have been notified yet.';

-- What messages_channel says of a change. The change's id keeps equal payloads of a transaction apart, which PostgreSQL
-- would merge. A character takes at most 6 bytes in JSON, so that 1,200 of them always fit: more than 8,000 bytes
-- would make the writer's statement fail.
CREATE FUNCTION public.inventory_payload(change public.inventory_changes) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE
        WHEN change.operation = 'truncate' THEN
            jsonb_build_object('op', 'truncate', 'operation', 'truncate', 'count', 1, 'change', change.id)::text
        WHEN char_length(concat(change.before_name, change.before_unit, change.before_location, change.before_code)) > 1200
          OR char_length(concat(change.after_name, change.after_unit, change.after_location, change.after_code)) > 1200 THEN
            jsonb_build_object('op', 'bulk', 'count', 1, 'change', change.id)::text
        ELSE '{"name": ' || to_json(coalesce(change.after_name, change.before_name))
            || ', "quantity": ' || coalesce(change.after_quantity, change.before_quantity)
            || ', ' || substr(jsonb_build_object(
                'op', change.operation,
                'id', change.item_id,
                'unit', CASE change.operation WHEN 'delete' THEN change.before_unit ELSE change.after_unit END,
                'location', CASE change.operation WHEN 'delete' THEN change.before_location ELSE change.after_location END,
                'reorder_level', CASE change.operation
                    WHEN 'delete' THEN change.before_reorder_level ELSE change.after_reorder_level END,
                'code', CASE change.operation WHEN 'delete' THEN change.before_code ELSE change.after_code END,
                'version', change.version,
                'change', change.id)::text, 2)
        END;

-- Notifies of what a statement logged, unless there is a courier: each change by itself up to 50, one word for all
-- beyond. The look at the courier's lock takes it and gives it back in one expression, for a session's lock outlives a
-- ROLLBACK; and it comes after the first write, so that the courier, once it has let go, can wait for all
-- transactions that may have looked before. It reads the transition table and not the log, where writers that are
-- SERIALIZABLE would stand in each other's way. A queue that is filling up is left alone, for a full one fails the
-- writer at COMMIT; the listeners' safety poll does without.
CREATE OR REPLACE FUNCTION public.inventory_announce() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    counted bigint;
BEGIN
    IF NOT (CASE WHEN pg_try_advisory_lock_shared(301858818) THEN pg_advisory_unlock_shared(301858818) ELSE FALSE END)
       OR pg_notification_queue_usage() > 0.5 THEN
        RETURN NULL;
    END IF;
    counted := (SELECT count(*) FROM (SELECT FROM logged LIMIT 51) AS first);
    IF counted > 50 THEN
        PERFORM pg_notify('messages_channel', jsonb_build_object(
                    'op', 'bulk', 'operation', min(operation), 'count', count(*), 'change', max(id))::text)
           FROM logged;
    ELSIF counted > 0 THEN
        PERFORM pg_notify('messages_channel', public.inventory_payload(logged::public.inventory_changes))
           FROM logged ORDER BY id;
    END IF;
    RETURN NULL;
END
$$;

REVOKE EXECUTE ON FUNCTION public.inventory_payload(public.inventory_changes) FROM PUBLIC;
