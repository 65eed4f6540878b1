-- fold --
-- One row: a search text as names are folded for comparison.
SELECT public.inventory_fold(%(text)s) AS folded;

-- view_items --
-- A stretch of the items of a view in its order, first the one whose code is the search text; each with what its place
-- is made of, and the snapshot it was found in. Only numbers and places are sorted; what else is shown is looked up for
-- each of the stretch (LIMIT 1 keeps that from becoming a join that reads all items).
WITH matching AS {found} (
    SELECT id, {column} AS key, {exact} AS is_exact
      FROM public.inventory
     WHERE {matches}),
page AS (
    SELECT *
      FROM matching
     ORDER BY {walk}
     LIMIT %(page_rows)s
    OFFSET %(offset)s)
SELECT item.*, key, is_exact, pg_current_snapshot()::text AS snapshot
  FROM page
 CROSS JOIN LATERAL (
       SELECT id, name, quantity, unit, location, reorder_level, code, version, updated_at
         FROM public.inventory
        WHERE inventory.id = page.id
        LIMIT 1) AS item
 ORDER BY {places};

-- view_items_near --
-- The same as far as it is found among the first %(near)s of all items in the order, which an index gives; fewer rows
-- if it is not, and none if there is an item whose code is the search text.
WITH near AS (
    SELECT id, name, quantity, unit, location, reorder_level, code, version, updated_at, {column} AS key, FALSE AS is_exact
      FROM public.inventory
     ORDER BY {walk}
     LIMIT %(near)s)
SELECT *, pg_current_snapshot()::text AS snapshot
  FROM (SELECT id, name, quantity, unit, location, reorder_level, code, version, updated_at, key, FALSE AS is_exact
          FROM near
         WHERE {matches}
           AND {no_exact}
         ORDER BY {walk}
         LIMIT %(page_rows)s
        OFFSET %(offset)s) AS page
 ORDER BY {places};

-- view_items_sample --
-- One row: the values in the order, of a sample of the items, after such shares of them (each may be below 0 or above 1),
-- and which share is from the one to the other; NULL where there is none. Of each page on disk that is looked at a quarter
-- is taken, for neighbours there are often neighbours in the order, and say no more than one of them.
WITH bounds AS MATERIALIZED (
    SELECT keys,
           keys[greatest(floor(cardinality(keys) * %(from)s), 1)::int] AS first,
           keys[least(ceil(cardinality(keys) * %(to)s), cardinality(keys))::int] AS last
      FROM (SELECT array_agg(key ORDER BY {walk}) AS keys
              FROM (SELECT id, {column} AS key, FALSE AS is_exact
                      FROM public.inventory TABLESAMPLE SYSTEM (%(percent)s)
                     WHERE random() < 0.25 AND {matches}) AS sampled) AS sample)
SELECT first, last,
       (SELECT count(*)::float FROM unnest(keys) AS key WHERE NOT key {ahead} first AND NOT last {ahead} key)
       / cardinality(keys) AS share
  FROM bounds;

-- view_items_between --
-- The same as view_items as far as it is found among those whose values are between two, or before the second one: what
-- is ahead of these is counted, and need not be put in order. Fewer rows if it is not, and none if there is an item whose
-- code is the search text.
WITH ahead AS (
    SELECT (SELECT count(*)
              FROM public.inventory
             WHERE {matches} AND NOT %(from_start)s AND {column} {ahead} %(first)s)
         + (SELECT count(*)
              FROM public.inventory
             WHERE {matches} AND {gaps} AND {column} IS NULL) AS items),
page AS (
    SELECT id, {column} AS key, FALSE AS is_exact
      FROM public.inventory
     WHERE {matches}
       AND (%(from_start)s OR NOT {column} {ahead} %(first)s)
       AND NOT %(last)s {ahead} {column}
       AND (SELECT items FROM ahead) <= %(offset)s
       AND {no_exact}
     ORDER BY {walk}
     LIMIT %(page_rows)s
    OFFSET (SELECT greatest(%(offset)s - items, 0) FROM ahead))
SELECT item.*, key, is_exact, pg_current_snapshot()::text AS snapshot
  FROM page
 CROSS JOIN LATERAL (
       SELECT id, name, quantity, unit, location, reorder_level, code, version, updated_at
         FROM public.inventory
        WHERE inventory.id = page.id
        LIMIT 1) AS item
 ORDER BY {places};

-- exact --
-- Whether an item's code is the search text.
(%(needle)s <> '' AND id IS NOT DISTINCT FROM (
    SELECT id FROM public.inventory WHERE public.inventory_fold(code) COLLATE "C" = %(needle)s))

-- no_exact --
-- Whether no item's code is the search text.
(%(needle)s = '' OR NOT EXISTS (SELECT FROM public.inventory WHERE public.inventory_fold(code) COLLATE "C" = %(needle)s))

-- figures --
-- One row: the items that match a filter in three numbers, which they are if they are fewer than %(kept)s, and
-- the snapshot they were counted in.
SELECT count(*) AS items,
       coalesce(sum(quantity), 0)::numeric AS units,
       count(*) FILTER (WHERE quantity <= reorder_level) AS low,
       CASE WHEN count(*) < %(kept)s THEN coalesce(array_agg(id) FILTER (WHERE %(kept)s > 0), ARRAY[]::bigint[]) END AS ids,
       pg_current_snapshot()::text AS snapshot
  FROM public.inventory
 WHERE {matches};

-- matches --
-- The condition of a view's filter. The pattern is the search text with anything around it: a trigram index serves it.
-- The folded location comes first in an index. The ids, where they are known, are those of all items that can match.
(%(needle)s = '' OR public.inventory_searchable(name, code) COLLATE "C" LIKE %(pattern)s)
AND (%(location)s = '' OR location = %(location)s
                           AND public.inventory_fold(location) COLLATE "C" = public.inventory_fold(%(location)s))
AND (NOT %(low)s OR quantity <= reorder_level)
AND (%(ids)s::bigint[] IS NULL OR id = ANY (%(ids)s::bigint[]))

-- order_by_name --
public.inventory_fold(name) COLLATE "C"

-- order_by_quantity --
quantity

-- order_by_unit --
public.inventory_fold(unit) COLLATE "C"

-- order_by_location --
public.inventory_fold(location) COLLATE "C"

-- order_by_reorder_level --
reorder_level

-- order_by_code --
public.inventory_fold(code) COLLATE "C"

-- order_by_updated_at --
updated_at

-- order_by_id --
id

-- order_by_version --
version

-- item_by_id --
-- The item, or no row.
SELECT id, name, quantity, unit, location, reorder_level, code, version, updated_at
  FROM public.inventory
 WHERE id = %(id)s;

-- items_by_ids --
-- The items with these ids, in no order, each with what its place in a view is made of; no row for one that is not
-- there.
SELECT id, name, quantity, unit, location, reorder_level, code, version, updated_at,
       {column} AS key, {exact} AS is_exact
  FROM public.inventory
 WHERE id = ANY (%(ids)s);

-- item_by_id_locked --
-- The item, or no row; nobody else changes it until the transaction ends.
SELECT id, name, quantity, unit, location, reorder_level, code, version, updated_at
  FROM public.inventory
 WHERE id = %(id)s
   FOR UPDATE;

-- item_at_version --
-- What the log knows of an item as it was at a version, or no row; none either if all items were removed after
-- %(seen_at)s, for then it is another item.
SELECT after_name AS name, after_quantity AS quantity, after_unit AS unit, after_location AS location,
       after_reorder_level AS reorder_level, after_code AS code
  FROM public.inventory_changes
 WHERE item_id = %(id)s AND version = %(version)s AND operation <> 'delete'
   AND NOT EXISTS (SELECT FROM public.inventory_changes WHERE item_id IS NULL AND changed_at > %(seen_at)s)
 ORDER BY id DESC
 LIMIT 1;

-- last_change_of_item --
-- Who changed an item last, and how; or no row.
SELECT coalesce(actor, session_role) AS who, coalesce(source, application) AS how
  FROM public.inventory_changes
 WHERE item_id = %(id)s
 ORDER BY id DESC
 LIMIT 1;

-- claim --
-- Says for the rest of the transaction who changes things, how, why, and which change it takes back.
SELECT set_config('inventory.actor', %(actor)s, TRUE), set_config('inventory.source', %(source)s, TRUE),
       set_config('inventory.reason', %(reason)s, TRUE), set_config('inventory.undoes', %(undoes)s, TRUE);

-- add_item --
-- One row: the new item.
INSERT INTO public.inventory (name, quantity, unit, location, reorder_level, code)
VALUES (%(name)s, %(quantity)s, %(unit)s, %(location)s, %(reorder_level)s, %(code)s)
RETURNING id, name, quantity, unit, location, reorder_level, code, version, updated_at;

-- change_quantity --
-- One row: the item, after adding %(by)s to its quantity; no row: no such item.
UPDATE public.inventory
   SET quantity = quantity + %(by)s
 WHERE id = %(id)s
RETURNING id, name, quantity, unit, location, reorder_level, code, version, updated_at;

-- edit_item --
-- One row: the item with these values; no row: no such item.
UPDATE public.inventory
   SET name = %(name)s,
       quantity = %(quantity)s,
       unit = %(unit)s,
       location = %(location)s,
       reorder_level = %(reorder_level)s,
       code = %(code)s
 WHERE id = %(id)s
RETURNING id, name, quantity, unit, location, reorder_level, code, version, updated_at;

-- delete_item --
-- One row: what the item was; no row: no such item.
DELETE FROM public.inventory
 WHERE id = %(id)s
RETURNING id, name, quantity, unit, location, reorder_level, code, version, updated_at;

-- lock_change --
-- Nothing; whoever else wants to take the change back waits until the transaction ends.
SELECT id
  FROM public.inventory_changes
 WHERE id = %(id)s
   FOR UPDATE;

-- change_to_undo --
-- The change, whether it was taken back already, whether all items were removed since (their numbers may be in use
-- again, or will be: that of the item has not been given to another yet), and whether it is older than %(hours)s hours;
-- or no row.
SELECT id, operation, item_id, version,
       before_name, before_quantity, before_unit, before_location, before_reorder_level, before_code,
       after_name, after_quantity, after_unit, after_location, after_reorder_level, after_code,
       EXISTS (SELECT FROM public.inventory_changes AS undoing WHERE undoing.undoes = change.id) AS is_undone,
       EXISTS (SELECT FROM public.inventory_changes AS emptied
                WHERE emptied.item_id IS NULL AND emptied.id > change.id) AS is_cut_off,
       item_id > coalesce(pg_sequence_last_value(pg_get_serial_sequence('public.inventory', 'id')::regclass), 0) AS is_ahead,
       changed_at < now() - make_interval(hours => %(hours)s) AS is_old
  FROM public.inventory_changes AS change
 WHERE id = %(id)s;

-- restore_item --
-- One row: the id of an item that has come back, its version going on from the last one logged; no row: its id,
-- name or code is in use.
INSERT INTO public.inventory (id, name, quantity, unit, location, reorder_level, code, version)
OVERRIDING SYSTEM VALUE
SELECT %(id)s, %(name)s, %(quantity)s, %(unit)s, %(location)s, %(reorder_level)s, %(code)s, max(version) + 1
  FROM public.inventory_changes
 WHERE item_id = %(id)s
    ON CONFLICT DO NOTHING
RETURNING id;

-- locations --
-- The distinct locations in the order of the alphabet, at most 500. The index is read at one place for each of them:
-- there may be a million items.
WITH RECURSIVE place (folded, location, number) AS (
         SELECT '' COLLATE "C", '', 0
          UNION ALL
         SELECT next.folded, next.location, number + 1
           FROM place
          CROSS JOIN LATERAL (
                SELECT public.inventory_fold(i.location) COLLATE "C" AS folded, i.location
                  FROM public.inventory AS i
                 WHERE (public.inventory_fold(i.location) COLLATE "C", i.location) > (place.folded, place.location)
                 ORDER BY folded, i.location
                 LIMIT 1) AS next
          WHERE number < 500)
SELECT location
  FROM place
 WHERE number > 0
 ORDER BY number;

-- all_first --
-- All that matches is found before any of it is put in order.
MATERIALIZED

-- in_order --
-- What matches is looked for in the order, if an index gives it.
NOT MATERIALIZED
