-- accounts_of_tokens --
-- Those of some API tokens that have not expired, with the account as it is now, and whether to note that they are used.
SELECT t.id, t.token_hash, t.account_id, a.name, a.role, t.may_write,
       coalesce(t.used_at < now() - interval '1 minute', TRUE) AS is_unseen
  FROM public.inventory_tokens AS t
  JOIN public.inventory_accounts AS a ON a.id = t.account_id
 WHERE t.token_hash = ANY(%(token_hashes)b)
   AND t.expires_at > now();

-- use_token --
-- Notes that an API token is used.
UPDATE public.inventory_tokens SET used_at = now() WHERE id = %(id)s;

-- roles_of_accounts --
-- The roles of some accounts as they are now.
SELECT id, role FROM public.inventory_accounts WHERE id = ANY(%(account_ids)s);

-- tokens --
-- The API tokens of an account, or of all without one; expired ones too, until they are removed.
SELECT t.id, t.label, t.may_write, t.created_at, t.expires_at, t.used_at, t.expires_at <= now() AS is_expired, a.name AS account
  FROM public.inventory_tokens AS t
  JOIN public.inventory_accounts AS a ON a.id = t.account_id
 WHERE t.account_id = %(account_id)s OR %(account_id)s::bigint IS NULL
 ORDER BY public.inventory_fold(a.name), t.id;

-- add_token --
-- One row: the new API token's id; none if the account has so many already, which is held meanwhile.
INSERT INTO public.inventory_tokens (account_id, label, token_hash, may_write, expires_at)
SELECT %(account_id)s, %(label)s, %(token_hash)s, %(may_write)s, now() + %(lasts)s::interval
 WHERE (SELECT count(*) FROM public.inventory_tokens WHERE account_id = %(account_id)s) < %(most)s
RETURNING id;

-- remove_tokens_of_account --
-- Nothing.
DELETE FROM public.inventory_tokens WHERE account_id = %(account_id)s;

-- remove_token --
-- The id of the API token that was removed; none if there is no such one, or none of that account.
DELETE FROM public.inventory_tokens
 WHERE id = %(id)s AND (account_id = %(account_id)s OR %(account_id)s::bigint IS NULL)
RETURNING id;
