-- simulation_size --
-- One row: how many items there are.
SELECT count(*) FROM public.inventory;

-- simulate_as --
-- Says for the rest of the transaction which program it is, and why it changes things.
SELECT set_config('application_name', %(application)s, TRUE), set_config('inventory.reason', %(reason)s, TRUE);

-- simulate_sale --
-- Nothing; some of an item that is in stock are taken.
UPDATE public.inventory
   SET quantity = quantity - least(%(by)s, quantity)
 WHERE id = (SELECT id FROM public.inventory WHERE quantity > 0 ORDER BY random() LIMIT 1)
   AND quantity > 0;

-- simulate_delivery --
-- Nothing; the items that are low and shortest come in.
UPDATE public.inventory AS item
   SET quantity = quantity + greatest(coalesce(item.reorder_level, 10) * 3, 10)
  FROM (SELECT id
          FROM public.inventory
         WHERE quantity <= coalesce(reorder_level, 10)
         ORDER BY quantity - coalesce(reorder_level, 0), id
         LIMIT %(items)s) AS shortest
 WHERE item.id = shortest.id;

-- simulate_count --
-- Nothing; an item turns out to be some more or fewer than was thought.
UPDATE public.inventory
   SET quantity = quantity + %(off)s
 WHERE id = (SELECT id FROM public.inventory WHERE quantity BETWEEN 2 AND 1000000000 ORDER BY random() LIMIT 1)
   AND quantity >= 2;
