-- What a write costs beside its own work, once more: who changes the quantity of one item pays a quarter less, and who
-- changes those of many half. PostgreSQL reads the stored text of CHECK constraints anew for each statement, whatever
-- it changes; a trigger in plpgsql is kept ready for the session.
-- squawk-ignore-file ban-drop-constraint, ban-drop-function
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

-- Room on each page for every row of it to change once: a new version that finds room beside the old one needs no new
-- entries in the indexes (HOT). Pages that are full already keep their rows; VACUUM FULL or CLUSTER would spread them.
ALTER TABLE public.inventory SET (fillfactor = 50);

-- The name of the first constraint that a row would break, or NULL. What is parsed here finds its operators in no
-- writer's search_path, and is put in the place where it is called.
CREATE FUNCTION public.inventory_broken(
    name text, quantity bigint, unit text, location text, reorder_level bigint, code text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN char_length(code) > 64 THEN 'inventory_code_length'
        WHEN public.inventory_trim(code) = '' THEN 'inventory_code_not_empty'
        WHEN char_length(location) > 200 THEN 'inventory_location_length'
        WHEN char_length(name) > 200 THEN 'inventory_name_length'
        WHEN public.inventory_trim(name) = '' THEN 'inventory_name_not_empty'
        WHEN quantity < 0 THEN 'inventory_quantity_not_negative'
        WHEN reorder_level < 0 THEN 'inventory_reorder_level_not_negative'
        WHEN char_length(unit) > 40 THEN 'inventory_unit_length'
    END;

-- Says it as PostgreSQL does, so that all who know what a broken constraint is understand.
CREATE FUNCTION public.inventory_refuse(broken text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'new row for relation "inventory" violates check constraint "%"', broken
        USING ERRCODE = 'check_violation', CONSTRAINT = broken, TABLE = 'inventory', SCHEMA = 'public';
END
$$;

GRANT EXECUTE ON FUNCTION
    public.inventory_broken(text, bigint, text, text, bigint, text), public.inventory_refuse(text) TO PUBLIC;

ALTER TABLE public.inventory
    DROP CONSTRAINT inventory_name_not_empty,
    DROP CONSTRAINT inventory_name_length,
    DROP CONSTRAINT inventory_quantity_not_negative,
    DROP CONSTRAINT inventory_unit_length,
    DROP CONSTRAINT inventory_location_length,
    DROP CONSTRAINT inventory_reorder_level_not_negative,
    DROP CONSTRAINT inventory_code_not_empty,
    DROP CONSTRAINT inventory_code_length;
DROP FUNCTION public.inventory_is_blank(text);

CREATE OR REPLACE FUNCTION public.inventory_first_version() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    broken pg_catalog.text := public.inventory_broken(
        NEW.name, NEW.quantity, NEW.unit, NEW.location, NEW.reorder_level, NEW.code);
BEGIN
    IF broken IS NOT NULL THEN
        PERFORM public.inventory_refuse(broken);
    END IF;
    IF NEW.version OPERATOR(pg_catalog.=) 1 IS NOT TRUE THEN
        NEW.version := CASE WHEN coalesce(pg_catalog.current_setting('inventory.undoes', TRUE), '') OPERATOR(pg_catalog.=) ''
                            THEN 1 ELSE greatest(NEW.version, 1) END;
    END IF;
    NEW.updated_at := pg_catalog.clock_timestamp();
    RETURN NEW;
END
$$;

DROP TRIGGER inventory_version_starts ON public.inventory;
CREATE TRIGGER inventory_version_starts
    BEFORE INSERT ON public.inventory FOR EACH ROW
    EXECUTE FUNCTION public.inventory_first_version();

-- Most updates change the quantity alone, and then there is nothing else to look at. The comparisons are of bytes.
CREATE OR REPLACE FUNCTION public.inventory_next_version() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    broken pg_catalog.text;
BEGIN
    NEW.version := OLD.version;
    NEW.updated_at := OLD.updated_at;
    IF NEW OPERATOR(pg_catalog.*=) OLD THEN
        RETURN NEW;
    END IF;
    OLD.quantity := NEW.quantity;
    IF NEW OPERATOR(pg_catalog.*<>) OLD OR NEW.quantity OPERATOR(pg_catalog.<) 0 THEN
        IF NEW.id OPERATOR(pg_catalog.<>) OLD.id THEN
            RAISE EXCEPTION 'the id of an item never changes'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'inventory_id_fixed';
        END IF;
        broken := public.inventory_broken(
            NEW.name, NEW.quantity, NEW.unit, NEW.location, NEW.reorder_level, NEW.code);
        IF broken IS NOT NULL THEN
            PERFORM public.inventory_refuse(broken);
        END IF;
    END IF;
    NEW.version := OLD.version OPERATOR(pg_catalog.+) 1;
    NEW.updated_at := pg_catalog.clock_timestamp();
    RETURN NEW;
END
$$;

-- As before, with less work: a quarter of it was to build jsonb.
CREATE OR REPLACE FUNCTION public.inventory_payload(change public.inventory_changes) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE
        WHEN change.operation = 'truncate' THEN
            jsonb_build_object('op', 'truncate', 'operation', 'truncate', 'count', 1, 'change', change.id)::text
        WHEN char_length(concat(change.before_name, change.before_unit, change.before_location, change.before_code)) > 1200
          OR char_length(concat(change.after_name, change.after_unit, change.after_location, change.after_code)) > 1200 THEN
            jsonb_build_object('op', 'bulk', 'count', 1, 'change', change.id)::text
        WHEN change.operation = 'delete' THEN
            concat('{"name": ', to_json(change.before_name), ', "quantity": ', change.before_quantity,
                   ', "op": "delete", "id": ', change.item_id,
                   ', "code": ', coalesce(to_json(change.before_code)::text, 'null'),
                   ', "unit": ', coalesce(to_json(change.before_unit)::text, 'null'),
                   ', "change": ', change.id, ', "version": ', change.version,
                   ', "location": ', coalesce(to_json(change.before_location)::text, 'null'),
                   ', "reorder_level": ', coalesce(change.before_reorder_level::text, 'null'), '}')
        ELSE
            concat('{"name": ', to_json(change.after_name), ', "quantity": ', change.after_quantity,
                   ', "op": "', change.operation, '", "id": ', change.item_id,
                   ', "code": ', coalesce(to_json(change.after_code)::text, 'null'),
                   ', "unit": ', coalesce(to_json(change.after_unit)::text, 'null'),
                   ', "change": ', change.id, ', "version": ', change.version,
                   ', "location": ', coalesce(to_json(change.after_location)::text, 'null'),
                   ', "reorder_level": ', coalesce(change.after_reorder_level::text, 'null'), '}')
        END;

-- The log, and who rings for it, in one go. SECURITY DEFINER: who may write to inventory need not be allowed to write its
-- history. All names and operators are qualified, so that nothing depends on the writer's search_path; to set another one
-- would cost more. A FULL JOIN can never be planned as a nested loop, for the plan is kept for the session, and one made
-- for a single row must also do for a million; IS NOT FALSE keeps the planner from making it an inner one.
--
-- While there is a courier, it rings. The look at its lock takes it and gives it back in one expression, for a session's
-- lock outlives a ROLLBACK; and it comes after the statement's own work, so that the courier, once it has let go, can
-- wait for all transactions that may have looked before. Otherwise each change is told by itself up to 50, and beyond
-- that one word for all. It is told from what INSERT returns and not from the log, where writers that are SERIALIZABLE
-- would stand in each other's way. A notification queue that is filling up is left alone, for a full one fails the writer
-- at COMMIT; the listeners' safety poll does without.
DO $both$
DECLARE
    before CONSTANT text := 'before_name, before_quantity, before_unit, before_location, before_reorder_level, before_code';
    after CONSTANT text := replace(before, 'before_', 'after_');
    old_values CONSTANT text := 'o.name, o.quantity, o.unit, o.location, o.reorder_level, o.code';
    new_values CONSTANT text := replace(old_values, 'o.', 'n.');
    log record;
BEGIN
    FOR log IN VALUES
        ('insert', concat_ws(', ', 'operation, item_id, version', after),
         concat_ws(', ', 'SELECT ''insert'', n.id, n.version', new_values) || ' FROM new_rows AS n'),
        ('update', concat_ws(', ', 'operation, item_id, version', before, after),
         concat_ws(', ', 'SELECT ''update'', n.id, n.version', old_values, new_values) ||
         ' FROM old_rows AS o FULL JOIN new_rows AS n ON n.id OPERATOR(pg_catalog.=) o.id'
         ' WHERE (o OPERATOR(pg_catalog.*<>) n) IS NOT FALSE'),
        ('delete', concat_ws(', ', 'operation, item_id, version', before),
         concat_ws(', ', 'SELECT ''delete'', o.id, o.version', old_values) || ' FROM old_rows AS o'),
        ('truncate', 'operation', 'VALUES (''truncate'')')
    LOOP
        EXECUTE format($function$
            CREATE OR REPLACE FUNCTION public.inventory_log_%1$s() RETURNS trigger
                LANGUAGE plpgsql SECURITY DEFINER AS $body$
            DECLARE
                messages bigint;
            BEGIN
                IF NOT (CASE WHEN pg_catalog.pg_try_advisory_lock_shared(301858818)
                             THEN pg_catalog.pg_advisory_unlock_shared(301858818) ELSE FALSE END)
                   OR pg_catalog.pg_notification_queue_usage() OPERATOR(pg_catalog.>) 0.5 THEN
                    INSERT INTO public.inventory_changes (%2$s) %3$s;
                    RETURN NULL;
                END IF;
                WITH logged AS (
                    INSERT INTO public.inventory_changes (%2$s) %3$s
                    RETURNING *
                ), told AS (
                    SELECT id, public.inventory_payload(logged::public.inventory_changes) AS payload
                      FROM logged
                     WHERE (SELECT pg_catalog.count(*) FROM logged) OPERATOR(pg_catalog.<=) 50
                    UNION ALL
                    SELECT NULL, pg_catalog.jsonb_build_object(
                               'op', 'bulk', 'operation', pg_catalog.min(operation),
                               'count', pg_catalog.count(*), 'change', pg_catalog.max(id))::pg_catalog.text
                      FROM logged
                    HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 50
                     ORDER BY id
                )
                SELECT pg_catalog.count(pg_catalog.pg_notify('messages_channel', payload)) INTO messages FROM told;
                RETURN NULL;
            END
            $body$$function$, log.column1, log.column2, log.column3);
    END LOOP;
END
$both$;

DROP TRIGGER inventory_changes_announce ON public.inventory_changes;
DROP FUNCTION public.inventory_announce();
