-- totals --
-- One row: the whole inventory in three numbers.
SELECT count(*) AS items,
       coalesce(sum(quantity), 0)::numeric AS units,
       count(*) FILTER (WHERE quantity <= reorder_level) AS low
  FROM public.inventory;
