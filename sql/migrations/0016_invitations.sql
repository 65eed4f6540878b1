-- An account has one link at a time, and so has whoever makes the first: the newest. It holds as long as the admin who
-- made it is one.
-- squawk-ignore-file adding-foreign-key-constraint, constraint-missing-not-valid, require-concurrent-index-deletion
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

DELETE FROM public.inventory_invitations AS older
 USING public.inventory_invitations AS newer
 WHERE older.account_id IS NOT DISTINCT FROM newer.account_id
   AND (older.expires_at, older.token_hash) < (newer.expires_at, newer.token_hash);
CREATE UNIQUE INDEX inventory_invitations_one ON public.inventory_invitations (account_id) NULLS NOT DISTINCT;
DROP INDEX public.inventory_invitations_account;

-- NULL: the operator made it, by a command.
ALTER TABLE public.inventory_invitations
    ADD COLUMN made_by bigint REFERENCES public.inventory_accounts ON DELETE CASCADE;
CREATE INDEX inventory_invitations_made_by ON public.inventory_invitations (made_by);
