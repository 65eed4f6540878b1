-- Processes are told where a row concerns who may be there, and not by a statement that found none: anybody may sign out
-- without being signed in, as often as he likes. PostgreSQL tells once what a transaction says many times.
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

DROP TRIGGER inventory_accounts_announce ON public.inventory_accounts;
DROP TRIGGER inventory_sessions_announce ON public.inventory_sessions;
DROP TRIGGER inventory_tokens_announce ON public.inventory_tokens;

CREATE TRIGGER inventory_accounts_announce
    AFTER INSERT OR UPDATE OF role OR DELETE ON public.inventory_accounts
    FOR EACH ROW EXECUTE FUNCTION public.inventory_accounts_announce();
CREATE TRIGGER inventory_sessions_announce
    AFTER DELETE ON public.inventory_sessions
    FOR EACH ROW EXECUTE FUNCTION public.inventory_accounts_announce();
CREATE TRIGGER inventory_tokens_announce
    AFTER DELETE ON public.inventory_tokens
    FOR EACH ROW EXECUTE FUNCTION public.inventory_accounts_announce();

CREATE TRIGGER inventory_accounts_announce_truncate
    AFTER TRUNCATE ON public.inventory_accounts
    FOR EACH STATEMENT EXECUTE FUNCTION public.inventory_accounts_announce();
CREATE TRIGGER inventory_sessions_announce_truncate
    AFTER TRUNCATE ON public.inventory_sessions
    FOR EACH STATEMENT EXECUTE FUNCTION public.inventory_accounts_announce();
CREATE TRIGGER inventory_tokens_announce_truncate
    AFTER TRUNCATE ON public.inventory_tokens
    FOR EACH STATEMENT EXECUTE FUNCTION public.inventory_accounts_announce();
