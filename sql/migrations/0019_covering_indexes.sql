-- Pages deep in a large inventory are counted off in an index alone: it has all that the order and the filter of places
-- ask for, and the table is read for the rows of the page only. No index more than before, for each costs every UPDATE.
-- On a large table this takes a while (a million items: some seconds), in which writers wait. Where they must not: make the
-- two indexes before, with these names, by CREATE INDEX CONCURRENTLY; here they are found.
-- squawk-ignore-file renaming-object, require-concurrent-index-deletion
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '30min';
SET LOCAL maintenance_work_mem = '256MB';

-- PostgreSQL computes nothing anew that an index holds, but only reads it alone if the columns it is made of are there too.
CREATE UNIQUE INDEX IF NOT EXISTS inventory_name_covering
    ON public.inventory ((public.inventory_fold(name)) COLLATE "C") INCLUDE (name, id);
DROP INDEX public.inventory_name_unique;
ALTER INDEX public.inventory_name_covering RENAME TO inventory_name_unique;

-- The order of places, each place as it is written, and the names of what is there.
CREATE INDEX IF NOT EXISTS inventory_location
    ON public.inventory ((public.inventory_fold(location)) COLLATE "C", location, id) INCLUDE (name);
DROP INDEX public.inventory_location_name;

ANALYZE public.inventory;
