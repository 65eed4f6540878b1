-- Who writes a name writes an entry in the index of searches, and so calls this function; where default privileges are
-- narrow nobody but the owner was allowed to.
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

GRANT EXECUTE ON FUNCTION public.inventory_searchable(text, text) TO PUBLIC;
