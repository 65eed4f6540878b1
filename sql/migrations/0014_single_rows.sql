-- Most statements write one row, and for one row a hash join is the dearest part of logging it: it makes a table of a
-- thousand buckets, and looks into each of them. So one row is logged by a plain statement, and rung for as it is returned.
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

-- As before where there are more rows than one. A plain join would be quadratic there, and its plan is kept for the
-- session, so it is run only once a look has shown that there is no second row. Its rows differ in the version, which is
-- cheaper to compare than all; a row that differs in something else only, as other triggers may leave it, is found by
-- the statement for many.
DO $all$
DECLARE
    before CONSTANT text := 'before_name, before_quantity, before_unit, before_location, before_reorder_level, before_code';
    after CONSTANT text := replace(before, 'before_', 'after_');
    old_values CONSTANT text := 'o.name, o.quantity, o.unit, o.location, o.reorder_level, o.code';
    new_values CONSTANT text := replace(old_values, 'o.', 'n.');
    log record;
BEGIN
    FOR log IN
        SELECT operation, rows, one, many,
               format('INSERT INTO public.inventory_changes AS change (operation, item_id, version, %s) SELECT %L, %s ',
                      columns, operation, item) AS insertion
          FROM (VALUES
            ('insert', 'new_rows', after, concat_ws(', ', 'n.id, n.version', new_values),
             'FROM new_rows AS n', 'FROM new_rows AS n'),
            ('update', 'new_rows', concat_ws(', ', before, after),
             concat_ws(', ', 'n.id, n.version', old_values, new_values),
             'FROM old_rows AS o, new_rows AS n WHERE o.version OPERATOR(pg_catalog.<>) n.version',
             'FROM old_rows AS o FULL JOIN new_rows AS n ON n.id OPERATOR(pg_catalog.=) o.id'
             ' WHERE (o OPERATOR(pg_catalog.*<>) n) IS NOT FALSE'),
            ('delete', 'old_rows', before, concat_ws(', ', 'o.id, o.version', old_values),
             'FROM old_rows AS o', 'FROM old_rows AS o')
          ) AS logs (operation, rows, columns, item, one, many)
    LOOP
        EXECUTE format($function$
            CREATE OR REPLACE FUNCTION public.inventory_log_%1$s() RETURNS trigger
                LANGUAGE plpgsql SECURITY DEFINER AS $body$
            DECLARE
                is_silent CONSTANT boolean :=
                    NOT (CASE WHEN pg_catalog.pg_try_advisory_lock_shared(301858818)
                              THEN pg_catalog.pg_advisory_unlock_shared(301858818) ELSE FALSE END)
                    OR pg_catalog.pg_notification_queue_usage() OPERATOR(pg_catalog.>) 0.5;
                messages bigint;
            BEGIN
                PERFORM FROM %2$s OFFSET 1;
                IF NOT FOUND THEN
                    IF is_silent THEN
                        %3$s %4$s;
                    ELSE
                        %3$s %4$s
                        RETURNING pg_catalog.length(pg_catalog.pg_notify(
                            'messages_channel', public.inventory_payload(change))::pg_catalog.text) INTO messages;
                    END IF;
                    IF FOUND THEN
                        RETURN NULL;
                    END IF;
                END IF;
                IF is_silent THEN
                    %3$s %5$s;
                    RETURN NULL;
                END IF;
                WITH logged AS (
                    %3$s %5$s
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
            $body$$function$, log.operation, log.rows, log.insertion, log.one, log.many);
    END LOOP;
END
$all$;
