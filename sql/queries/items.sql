-- fold --
-- One row: a search text as names are folded for comparison.
SELECT public.inventory_fold(%(text)s) AS folded;

-- view_items --
-- The items on one page of a view in its order, each with the number of matches and the page shown, which is the
-- last one where the asked one is beyond it. No row: nothing matches.
WITH matching AS NOT MATERIALIZED (
         SELECT id, name, quantity, unit, location, reorder_level, version, updated_at
           FROM public.inventory
          WHERE (%(needle)s = '' OR strpos(public.inventory_fold(name) COLLATE "C", %(needle)s COLLATE "C") > 0)
            AND (%(location)s = '' OR location = %(location)s)
            AND (NOT %(low)s OR quantity <= reorder_level)),
     paging AS (
         SELECT matches, least(%(page)s, (matches + %(page_rows)s - 1) / %(page_rows)s) AS page
           FROM (SELECT count(*) AS matches FROM matching) AS counted)
SELECT id, name, quantity, unit, location, reorder_level, version, updated_at,
       (SELECT matches FROM paging) AS matches, (SELECT page FROM paging) AS page
  FROM matching
 ORDER BY {order}, id
 LIMIT %(page_rows)s
OFFSET (SELECT greatest(page - 1, 0) * %(page_rows)s FROM paging);

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

-- order_by_updated_at --
updated_at

-- order_by_id --
id

-- order_by_version --
version

-- item_by_id --
-- The item, or no row.
SELECT id, name, quantity, unit, location, reorder_level, version, updated_at
  FROM public.inventory
 WHERE id = %(id)s;

-- claim --
-- Says for the rest of the transaction who changes things, and how.
SELECT set_config('inventory.actor', %(actor)s, TRUE), set_config('inventory.source', %(source)s, TRUE);

-- add_item --
-- One row: the id of the new item.
INSERT INTO public.inventory (name, quantity, unit, location, reorder_level)
VALUES (%(name)s, %(quantity)s, %(unit)s, %(location)s, %(reorder_level)s)
RETURNING id;

-- change_quantity --
-- One row: the quantity now, after adding %(by)s; no row: no such item.
UPDATE public.inventory
   SET quantity = quantity + %(by)s
 WHERE id = %(id)s
RETURNING quantity;

-- delete_item --
-- One row: the name of the item that was deleted; no row: no such item.
DELETE FROM public.inventory
 WHERE id = %(id)s
RETURNING name;

-- locations --
-- The distinct locations in the order of the alphabet, at most 500.
SELECT DISTINCT location, public.inventory_fold(location) COLLATE "C" AS folded
  FROM public.inventory
 WHERE location <> ''
 ORDER BY folded, location
 LIMIT 500;
