-- totals --
-- One row: the whole inventory in three numbers.
SELECT count(*) AS items,
       coalesce(sum(quantity), 0)::numeric AS units,
       count(*) FILTER (WHERE quantity <= reorder_level) AS low
  FROM public.inventory;

-- latest_changes --
-- The newest changes, newest first.
SELECT id, operation, item_id, coalesce(after_name, before_name) AS name,
       before_name, before_quantity, before_unit, before_location, before_reorder_level, before_code,
       after_name, after_quantity, after_unit, after_location, after_reorder_level, after_code,
       coalesce(actor, session_role) AS who, coalesce(source, application) AS how, changed_at AS at
  FROM public.inventory_changes
 ORDER BY id DESC
 LIMIT %(limit)s;
