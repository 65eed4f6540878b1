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
    after_name text,
    after_quantity bigint,
    after_unit text,
    after_location text,
    after_reorder_level bigint,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Who it was by the server's own account, and who our code says it was.
    session_role text NOT NULL DEFAULT session_user,
    application text NOT NULL DEFAULT current_setting('application_name'),
    actor text DEFAULT nullif(current_setting('inventory.actor', TRUE), ''),
    source text DEFAULT nullif(current_setting('inventory.source', TRUE), ''),
    reason text DEFAULT nullif(current_setting('inventory.reason', TRUE), '')
);
COMMENT ON TABLE public.inventory_changes IS 'Every committed change of an item: log of the live pages and history at once.';

CREATE INDEX inventory_changes_xid ON public.inventory_changes (xid, id);
CREATE INDEX inventory_changes_item ON public.inventory_changes (item_id, id);

-- One row that names the cluster and table the log was written in. Unlogged on purpose: a crash, a promotion or
-- a physical restore empties it, and all three may hand out transaction ids a second time.
CREATE UNLOGGED TABLE public.inventory_epoch (
    singleton boolean PRIMARY KEY DEFAULT TRUE CHECK (singleton),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    system_identifier bigint NOT NULL,
    relation oid NOT NULL
);

-- Returns the epoch that cursors belong to, a new one when log and cluster do not belong together (restored,
-- crashed, promoted). Log rows that seem to come from the future are then put into the past.
CREATE FUNCTION public.inventory_current_epoch() RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    here bigint := (SELECT system_identifier FROM pg_control_system());
    relation_here oid := 'public.inventory'::regclass;
    epoch uuid;
BEGIN
    SELECT id INTO epoch FROM public.inventory_epoch
     WHERE system_identifier = here AND relation = relation_here
       AND NOT EXISTS (SELECT FROM public.inventory_changes WHERE xid >= pg_snapshot_xmax(pg_current_snapshot()));
    IF epoch IS NULL THEN
        UPDATE public.inventory_changes SET xid = '0' WHERE xid >= pg_snapshot_xmin(pg_current_snapshot());
        INSERT INTO public.inventory_epoch AS old (system_identifier, relation) VALUES (here, relation_here)
            ON CONFLICT (singleton) DO UPDATE
            SET id = excluded.id, system_identifier = excluded.system_identifier, relation = excluded.relation
            RETURNING old.id INTO epoch;
    END IF;
    RETURN epoch;
END
$$;

-- The JSON text of one change as messages_channel carries it; the change's id keeps equal payloads apart,
-- because PostgreSQL merges identical notifications of a transaction.
CREATE FUNCTION public.inventory_payload(change public.inventory_changes) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
    RETURN (
        SELECT CASE WHEN octet_length(payload) <= 7900 THEN payload
                    ELSE json_build_object('op', 'bulk', 'count', 1, 'change', change.id)::text END
          FROM (SELECT json_build_object(
                    'name', coalesce(change.after_name, change.before_name),
                    'quantity', coalesce(change.after_quantity, change.before_quantity),
                    'op', change.operation,
                    'id', change.item_id,
                    'unit', coalesce(change.after_unit, change.before_unit),
                    'location', coalesce(change.after_location, change.before_location),
                    'reorder_level', coalesce(change.after_reorder_level, change.before_reorder_level),
                    'version', change.version,
                    'change', change.id)::text) AS one (payload));

-- Notifies of the newest `count` changes of this transaction: each by itself up to 50, one word for all beyond.
CREATE FUNCTION public.inventory_announce(operation text, count bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF count BETWEEN 1 AND 50 AND operation <> 'truncate' THEN
        PERFORM pg_notify('messages_channel', public.inventory_payload(newest))
           FROM (SELECT * FROM public.inventory_changes
                  WHERE xid = pg_current_xact_id()
                  ORDER BY id DESC LIMIT count) AS newest
          ORDER BY newest.id;
    ELSIF count > 0 THEN
        PERFORM pg_notify('messages_channel', json_build_object(
            'op', CASE operation WHEN 'truncate' THEN 'truncate' ELSE 'bulk' END,
            'operation', operation, 'count', count, 'change', lastval())::text);
    END IF;
END
$$;

-- SECURITY DEFINER: who may write to inventory need not be allowed to write its history.
CREATE FUNCTION public.inventory_log_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    logged bigint;
BEGIN
    INSERT INTO public.inventory_changes (operation, item_id, version,
            after_name, after_quantity, after_unit, after_location, after_reorder_level)
    SELECT 'insert', id, version, name, quantity, unit, location, reorder_level FROM new_rows;
    GET DIAGNOSTICS logged = ROW_COUNT;
    PERFORM public.inventory_announce('insert', logged);
    RETURN NULL;
END
$$;

-- enable_nestloop: the plan is kept for the session, and one made for a single row must also do for a million.
CREATE FUNCTION public.inventory_log_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET enable_nestloop = off AS $$
DECLARE
    logged bigint;
BEGIN
    INSERT INTO public.inventory_changes (operation, item_id, version,
            before_name, before_quantity, before_unit, before_location, before_reorder_level,
            after_name, after_quantity, after_unit, after_location, after_reorder_level)
    SELECT 'update', n.id, n.version,
            o.name, o.quantity, o.unit, o.location, o.reorder_level,
            n.name, n.quantity, n.unit, n.location, n.reorder_level
      FROM old_rows AS o JOIN new_rows AS n ON n.id = o.id
     WHERE (o.name, o.quantity, o.unit, o.location, o.reorder_level)
        IS DISTINCT FROM (n.name, n.quantity, n.unit, n.location, n.reorder_level);
    GET DIAGNOSTICS logged = ROW_COUNT;
    PERFORM public.inventory_announce('update', logged);
    RETURN NULL;
END
$$;

CREATE FUNCTION public.inventory_log_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    logged bigint;
BEGIN
    INSERT INTO public.inventory_changes (operation, item_id, version,
            before_name, before_quantity, before_unit, before_location, before_reorder_level)
    SELECT 'delete', id, version, name, quantity, unit, location, reorder_level FROM old_rows;
    GET DIAGNOSTICS logged = ROW_COUNT;
    PERFORM public.inventory_announce('delete', logged);
    RETURN NULL;
END
$$;

CREATE FUNCTION public.inventory_log_truncate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO public.inventory_changes (operation) VALUES ('truncate');
    PERFORM public.inventory_announce('truncate', 1);
    RETURN NULL;
END
$$;

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
