-- The change log: what the live pages read since their cursor, and the history that people see.
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE public.inventory_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The writing transaction: a cursor is a snapshot and asks for the transactions it could not see.
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    operation text NOT NULL,
    item_id bigint,
    version bigint,
    before_name text,
    before_quantity bigint,
    before_unit text,
    before_location text,
    before_reorder_level bigint,
    before_code text,
    after_name text,
    after_quantity bigint,
    after_unit text,
    after_location text,
    after_reorder_level bigint,
    after_code text,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Who it was by the server's own account, and who our code says it was.
    session_role text NOT NULL DEFAULT session_user,
    application text NOT NULL DEFAULT current_setting('application_name'),
    actor text DEFAULT nullif(current_setting('inventory.actor', TRUE), ''),
    source text DEFAULT nullif(current_setting('inventory.source', TRUE), ''),
    reason text DEFAULT nullif(current_setting('inventory.reason', TRUE), ''),
    -- The change that this one takes back.
    undoes bigint DEFAULT nullif(current_setting('inventory.undoes', TRUE), '')::bigint
);
COMMENT ON TABLE public.inventory_changes IS 'Every committed change of an item: log of the live pages and history at once.';

CREATE INDEX inventory_changes_xid ON public.inventory_changes (xid, id);
CREATE INDEX inventory_changes_item ON public.inventory_changes (item_id, id);
CREATE INDEX inventory_changes_undoes ON public.inventory_changes (undoes) WHERE undoes IS NOT NULL;

-- One row that names the cluster, database and table the log was written in. Unlogged on purpose: a crash, a
-- promotion or a physical restore empties it, and all three may hand out transaction ids a second time.
CREATE UNLOGGED TABLE public.inventory_epoch (
    singleton boolean PRIMARY KEY DEFAULT TRUE CHECK (singleton),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    system_identifier bigint NOT NULL,
    database oid NOT NULL,
    relation oid NOT NULL
);

-- Where the log stands: a cursor that has seen all that is committed, and the epoch that cursors belong to; NULL:
-- to be settled. A server that was started anew may have been restored: the moment of its start is part of the epoch.
CREATE VIEW public.inventory_position AS
SELECT pg_current_snapshot() AS cursor,
       (SELECT concat_ws(' ', id, extract(EPOCH FROM pg_postmaster_start_time()))
          FROM public.inventory_epoch
         WHERE relation = to_regclass('public.inventory')
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS epoch;

-- Makes a new epoch if log and cluster do not belong together (restored, copied, crashed, promoted). Log rows of
-- transactions that this cluster has not committed are first put into the past, some at a time; FALSE: call again.
CREATE FUNCTION public.inventory_settle_epoch() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    here bigint := (SELECT system_identifier FROM pg_control_system());
    at_a_time CONSTANT bigint := 5000;
    moved bigint;
BEGIN
    LOCK TABLE public.inventory_epoch IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM public.inventory_position, public.inventory_epoch
                WHERE epoch IS NOT NULL AND system_identifier = here)
       AND (SELECT xid FROM public.inventory_changes ORDER BY xid DESC LIMIT 1)
           >= pg_snapshot_xmax(pg_current_snapshot()) IS NOT TRUE THEN
        RETURN TRUE;
    END IF;
    UPDATE public.inventory_changes SET xid = '0'
     WHERE id IN (SELECT id FROM public.inventory_changes
                   WHERE xid >= pg_snapshot_xmin(pg_current_snapshot())
                     AND NOT pg_visible_in_snapshot(xid, pg_current_snapshot())
                   LIMIT at_a_time);
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved = at_a_time THEN
        RETURN FALSE;
    END IF;
    INSERT INTO public.inventory_epoch (system_identifier, database, relation)
    SELECT here, oid, to_regclass('public.inventory') FROM pg_database WHERE datname = current_database()
        ON CONFLICT (singleton) DO UPDATE
       SET id = excluded.id, system_identifier = excluded.system_identifier,
           database = excluded.database, relation = excluded.relation;
    RETURN TRUE;
END
$$;

-- SECURITY DEFINER: who may write to inventory need not be allowed to write its history. The search_path leaves
-- out public, where others may be allowed to create functions of the same names.
CREATE FUNCTION public.inventory_log_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO public.inventory_changes (operation, item_id, version,
            after_name, after_quantity, after_unit, after_location, after_reorder_level, after_code)
    SELECT 'insert', id, version, name, quantity, unit, location, reorder_level, code FROM new_rows;
    RETURN NULL;
END
$$;

-- enable_nestloop: the plan is kept for the session, and one made for a single row must also do for a million.
CREATE FUNCTION public.inventory_log_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $$
BEGIN
    INSERT INTO public.inventory_changes (operation, item_id, version,
            before_name, before_quantity, before_unit, before_location, before_reorder_level, before_code,
            after_name, after_quantity, after_unit, after_location, after_reorder_level, after_code)
    SELECT 'update', n.id, n.version,
            o.name, o.quantity, o.unit, o.location, o.reorder_level, o.code,
            n.name, n.quantity, n.unit, n.location, n.reorder_level, n.code
      FROM old_rows AS o JOIN new_rows AS n ON n.id = o.id
     WHERE (o.name, o.quantity, o.unit, o.location, o.reorder_level, o.code)
        IS DISTINCT FROM (n.name, n.quantity, n.unit, n.location, n.reorder_level, n.code);
    RETURN NULL;
END
$$;

CREATE FUNCTION public.inventory_log_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO public.inventory_changes (operation, item_id, version,
            before_name, before_quantity, before_unit, before_location, before_reorder_level, before_code)
    SELECT 'delete', id, version, name, quantity, unit, location, reorder_level, code FROM old_rows;
    RETURN NULL;
END
$$;

CREATE FUNCTION public.inventory_log_truncate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO public.inventory_changes (operation) VALUES ('truncate');
    RETURN NULL;
END
$$;

-- Notifies of what a statement logged: each change by itself up to 50, one word for all beyond. The change's id keeps
-- equal payloads apart, because PostgreSQL merges identical notifications of a transaction. It reads the transition
-- table and not the log, where writers that are SERIALIZABLE would stand in each other's way. A queue that is
-- filling up is left alone, for a full one fails the writer at COMMIT; the listeners' safety poll does without.
CREATE FUNCTION public.inventory_announce() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    counted bigint := (SELECT count(*) FROM (SELECT FROM logged LIMIT 51) AS first);
BEGIN
    IF counted = 0 OR pg_notification_queue_usage() > 0.5 THEN
        RETURN NULL;
    ELSIF counted > 50 OR (SELECT operation FROM logged LIMIT 1) = 'truncate' THEN
        PERFORM pg_notify('messages_channel', jsonb_build_object(
                    'op', CASE min(operation) WHEN 'truncate' THEN 'truncate' ELSE 'bulk' END,
                    'operation', min(operation), 'count', count(*), 'change', max(id))::text)
           FROM logged;
    ELSE
        PERFORM pg_notify('messages_channel', CASE WHEN octet_length(payload) <= 7900 THEN payload
                    ELSE jsonb_build_object('op', 'bulk', 'count', 1, 'change', id)::text END)
           FROM (SELECT id, '{"name": ' || to_json(coalesce(after_name, before_name))
                    || ', "quantity": ' || coalesce(after_quantity, before_quantity)
                    || ', ' || substr(jsonb_build_object(
                        'op', operation,
                        'id', item_id,
                        'unit', CASE operation WHEN 'delete' THEN before_unit ELSE after_unit END,
                        'location', CASE operation WHEN 'delete' THEN before_location ELSE after_location END,
                        'reorder_level',
                        CASE operation WHEN 'delete' THEN before_reorder_level ELSE after_reorder_level END,
                        'code', CASE operation WHEN 'delete' THEN before_code ELSE after_code END,
                        'version', version,
                        'change', id)::text, 2) AS payload
                   FROM logged
                  ORDER BY id) AS in_order;
    END IF;
    RETURN NULL;
END
$$;

-- The triggers need no right of the writer; nobody shall forge history by hanging the functions on another table.
REVOKE EXECUTE ON FUNCTION
    public.inventory_settle_epoch(), public.inventory_announce(), public.inventory_log_insert(),
    public.inventory_log_update(), public.inventory_log_delete(), public.inventory_log_truncate() FROM PUBLIC;

CREATE TRIGGER inventory_changes_announce
    AFTER INSERT ON public.inventory_changes REFERENCING NEW TABLE AS logged
    FOR EACH STATEMENT EXECUTE FUNCTION public.inventory_announce();
CREATE TRIGGER inventory_log_insert
    AFTER INSERT ON public.inventory REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION public.inventory_log_insert();
CREATE TRIGGER inventory_log_update
    AFTER UPDATE ON public.inventory REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION public.inventory_log_update();
CREATE TRIGGER inventory_log_delete
    AFTER DELETE ON public.inventory REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION public.inventory_log_delete();
CREATE TRIGGER inventory_log_truncate
    AFTER TRUNCATE ON public.inventory
    FOR EACH STATEMENT EXECUTE FUNCTION public.inventory_log_truncate();
