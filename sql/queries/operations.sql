-- applied_migrations --
-- A row for each migration that the schema has had.
SELECT name FROM public.inventory_migrations;

-- database_state --
-- One row: how full the queue of notifications is, from 0 to 1, and the server's version. Asking moves the queue's tail
-- on: where one that was full is left alone by writers, nothing else would.
SELECT pg_notification_queue_usage() AS notify_queue_use, current_setting('server_version') AS version;
