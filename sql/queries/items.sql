-- fold --
-- One row: a search text as names are folded for comparison.
SELECT public.inventory_fold(%(text)s) AS folded;

-- view_items --
-- The items on one page of a view in its order, first the one whose code is the search text; each with what its place
-- is made of. Where few match they are all found first: an order's index could lead past all others.
WITH matching AS {found} (
    SELECT id, name, quantity, unit, location, reorder_level, code, version, updated_at
      FROM public.inventory
     WHERE {matches})
SELECT id, name, quantity, unit, location, reorder_level, code, version, updated_at,
       {column} AS key,
       {exact} AS is_exact
  FROM (SELECT *
          FROM matching
         ORDER BY {exact} DESC, {order}
         LIMIT %(page_rows)s
        OFFSET %(offset)s) AS page
 ORDER BY is_exact DESC, {order};

-- view_items_of_many --
-- The same where so many match a search text that the order's index leads to fifty of them soon. The one whose code it
-- is comes by itself, and where there is none, or it is on a page before, one more of the others is passed over.
WITH matching AS NOT MATERIALIZED (
         SELECT id, name, quantity, unit, location, reorder_level, code, version, updated_at
           FROM public.inventory
          WHERE {matches}),
     exact AS MATERIALIZED (
         SELECT *
           FROM matching
          WHERE public.inventory_fold(code) COLLATE "C" = %(needle)s)
SELECT id, name, quantity, unit, location, reorder_level, code, version, updated_at,
       {column} AS key,
       {exact} AS is_exact
  FROM (SELECT *
          FROM exact
         WHERE %(offset)s = 0
         UNION ALL
        (SELECT *
           FROM matching
          WHERE id IS DISTINCT FROM (SELECT id FROM exact)
          ORDER BY {order}
          LIMIT %(page_rows)s + 1
         OFFSET greatest(%(offset)s - 1, 0))) AS page
 ORDER BY is_exact DESC, {order}
 LIMIT %(page_rows)s
OFFSET (SELECT (%(offset)s > 0 AND NOT EXISTS (SELECT FROM exact))::int);

-- exact --
-- Whether an item's code is the search text.
(%(needle)s <> '' AND public.inventory_fold(code) IS NOT DISTINCT FROM %(needle)s)

-- figures --
-- One row: the items that match a filter in three numbers, and the snapshot they were counted in.
SELECT count(*) AS items,
       coalesce(sum(quantity), 0)::numeric AS units,
       count(*) FILTER (WHERE quantity <= reorder_level) AS low,
       pg_current_snapshot()::text AS snapshot
  FROM public.inventory
 WHERE {matches};

-- matches --
-- The condition of a view's filter. The pattern is the search text with anything around it: a trigram index serves it.
(%(needle)s = '' OR public.inventory_searchable(name, code) COLLATE "C" LIKE %(pattern)s)
AND (%(location)s = '' OR location = %(location)s)
AND (NOT %(low)s OR quantity <= reorder_level)

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
-- The items with these ids, in no order; no row for one that is not there.
SELECT id, name, quantity, unit, location, reorder_level, code, version, updated_at
  FROM public.inventory
 WHERE id = ANY (%(ids)s);

-- item_by_id_locked --
-- The item, or no row; nobody else changes it until the transaction ends.
SELECT id, name, quantity, unit, location, reorder_level, code, version, updated_at
  FROM public.inventory
 WHERE id = %(id)s
   FOR UPDATE;

-- item_at_version --
-- What the log knows of an item as it was at a version, or no row.
SELECT after_name AS name, after_quantity AS quantity, after_unit AS unit, after_location AS location,
       after_reorder_level AS reorder_level, after_code AS code
  FROM public.inventory_changes
 WHERE item_id = %(id)s AND version = %(version)s AND operation <> 'delete'
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
-- Nothing.
DELETE FROM public.inventory
 WHERE id = %(id)s;

-- lock_change --
-- Nothing; whoever else wants to take the change back waits until the transaction ends.
SELECT id
  FROM public.inventory_changes
 WHERE id = %(id)s
   FOR UPDATE;

-- change_to_undo --
-- The change, whether it was taken back already, whether all items were removed since (their numbers may be in use
-- again), and whether it is older than %(hours)s hours; or no row.
SELECT id, operation, item_id, version,
       before_name, before_quantity, before_unit, before_location, before_reorder_level, before_code,
       after_name, after_quantity, after_unit, after_location, after_reorder_level, after_code,
       EXISTS (SELECT FROM public.inventory_changes AS undoing WHERE undoing.undoes = change.id) AS is_undone,
       EXISTS (SELECT FROM public.inventory_changes AS emptied
                WHERE emptied.item_id IS NULL AND emptied.id > change.id) AS is_cut_off,
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
-- The distinct locations in the order of the alphabet, at most 500 (of the first 2,000). The index is read at one place
-- for each of them: there may be a million items.
WITH RECURSIVE place (location, number) AS (
         (SELECT location, 1 FROM public.inventory WHERE location > '' ORDER BY location LIMIT 1)
          UNION ALL
         SELECT (SELECT i.location
                   FROM public.inventory AS i
                  WHERE i.location > place.location
                  ORDER BY i.location
                  LIMIT 1), number + 1
           FROM place
          WHERE location IS NOT NULL AND number < 2000)
SELECT location
  FROM place
 WHERE location IS NOT NULL
 ORDER BY public.inventory_fold(location) COLLATE "C", location
 LIMIT 500;

-- all_first --
-- All that matches is found before any of it is put in order.
MATERIALIZED

-- in_order --
-- What matches is looked for in the order, as far as an index gives it.
NOT MATERIALIZED
