-- limit_export --
-- Settings for a connection that exports: a reader that stops reading must not hold back VACUUM for ever, and who waits
-- for somebody's ALTER TABLE must not keep others from exporting.
SELECT set_config('statement_timeout', '60s', FALSE), set_config('idle_in_transaction_session_timeout', '60s', FALSE),
       set_config('lock_timeout', %(lock_timeout)s, FALSE), set_config('jit', 'off', FALSE);

-- export_items --
-- All items of a view in its order, as the page shows them.
SELECT code, name, quantity, unit, location, reorder_level
  FROM public.inventory
 WHERE {matches}
 ORDER BY {exact} DESC, {order};
