-- server_facts --
-- One row: what a server, a role and a database are like, for whoever looks for what is wrong with them.
SELECT current_setting('server_version_num')::integer / 10000 AS major,
       split_part(current_setting('server_version'), ' ', 1) AS version,
       pg_is_in_recovery() AS is_standby,
       current_setting('server_encoding') AS encoding,
       current_user::text AS role,
       has_schema_privilege('public', 'CREATE') AS may_create,
       (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('public.inventory')) AS is_owner,
       EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') AS has_trigrams,
       pg_notification_queue_usage() AS queue_use,
       current_setting('session_replication_role') AS replication_role,
       current_setting('data_checksums') AS checksums,
       current_setting('fsync') AS fsync,
       coalesce((SELECT array_agg(tgname::text ORDER BY tgname) FROM pg_trigger
                  WHERE tgrelid IN (to_regclass('public.inventory'), to_regclass('public.inventory_changes'))
                    AND NOT tgisinternal AND tgenabled IN ('D', 'R')), '{}') AS triggers_off,
       coalesce((SELECT array_agg(inhrelid::regclass::text) FROM pg_inherits
                  WHERE inhparent = to_regclass('public.inventory')), '{}') AS heirs,
       (SELECT count(*) FROM pg_stat_activity
         WHERE state LIKE 'idle in transaction%%' AND clock_timestamp() - state_change > '1 min') AS idle_in_transaction,
       (SELECT min(pid) FROM pg_stat_activity
         WHERE state LIKE 'idle in transaction%%' AND clock_timestamp() - state_change > '1 min') AS idle_pid,
       coalesce(pg_total_relation_size(to_regclass('public.inventory_changes')), 0) AS log_bytes,
       extract(EPOCH FROM clock_timestamp())::float8 AS now;
