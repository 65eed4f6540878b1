-- inventory_written --
-- One row: how often rows of the inventory have been written, as far as the statistics know by now.
SELECT n_tup_ins + n_tup_upd + n_tup_del AS written
  FROM pg_stat_user_tables
 WHERE relid = 'public.inventory'::regclass;

-- vacuum_inventory --
-- Nothing. Writers go on meanwhile; pages that nobody has changed are passed over. It takes no lock that anybody waits
-- for: not to shorten the file either.
VACUUM (SKIP_LOCKED, TRUNCATE FALSE) public.inventory;
