-- applied_migrations --
-- A row for each migration that the schema has had.
SELECT name FROM public.inventory_migrations;

-- database_state --
-- One row: how full the queue of notifications is, from 0 to 1, and the server's version. Asking moves the queue's tail
-- on, which else a NOTIFY does: into a full queue none succeeds.
SELECT pg_notification_queue_usage() AS notify_queue_use, current_setting('server_version') AS version;

-- age_of_change --
-- A row if the change is in the log: how many seconds ago it was written, by the database's clock.
SELECT extract(EPOCH FROM clock_timestamp() - changed_at)::float8 AS age_s
  FROM public.inventory_changes
 WHERE id = %(id)s;
