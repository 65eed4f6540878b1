-- any_account --
-- One row: whether there are accounts at all.
SELECT EXISTS (SELECT FROM public.inventory_accounts) AS found;

-- sessions_of_tokens --
-- Those of some sessions that have not expired, with the account as it is now, and whether to note that they are used.
SELECT s.id AS session_id, s.token_hash, s.account_id, a.name, a.role, s.seen_at < now() - interval '1 minute' AS is_unseen
  FROM public.inventory_sessions AS s
  JOIN public.inventory_accounts AS a ON a.id = s.account_id
 WHERE s.token_hash = ANY(%(token_hashes)b)
   AND s.seen_at > now() - %(idle)s::interval
   AND s.created_at > now() - %(longest)s::interval;

-- see_sessions --
-- Notes that sessions are used.
UPDATE public.inventory_sessions SET seen_at = now() WHERE id = ANY(%(ids)s);

-- account_by_name --
-- At most one row: an account with its password.
SELECT id, name, role, password_hash FROM public.inventory_accounts WHERE public.inventory_fold(name) = public.inventory_fold(%(name)s);

-- account_by_id --
-- At most one row: an account with its password.
SELECT id, name, role, password_hash FROM public.inventory_accounts WHERE id = %(id)s;

-- hold_accounts --
-- Those of some accounts that there are, with their passwords. They stay as they are until the transaction ends.
SELECT id, name, role, password_hash
  FROM public.inventory_accounts
 WHERE id = ANY(%(ids)s)
 ORDER BY id
   FOR NO KEY UPDATE;

-- accounts --
-- All accounts by name, with when each was last seen, how many devices and API tokens it has, and whether a password.
SELECT a.id, a.name, a.role, a.created_at, a.password_hash IS NOT NULL AS has_password, s.sessions, s.seen_at,
       (SELECT count(*) FROM public.inventory_tokens WHERE account_id = a.id AND expires_at > now()) AS tokens
  FROM public.inventory_accounts AS a,
       LATERAL (SELECT count(*) AS sessions, max(seen_at) AS seen_at
                  FROM public.inventory_sessions
                 WHERE account_id = a.id
                   AND seen_at > now() - %(idle)s::interval
                   AND created_at > now() - %(longest)s::interval) AS s
 ORDER BY public.inventory_fold(a.name);

-- add_account --
-- One row: the new account.
INSERT INTO public.inventory_accounts (name, role, password_hash)
VALUES (%(name)s, %(role)s, %(password_hash)s)
RETURNING id, name, role;

-- lock_accounts --
-- Nothing. Makes those wait who would take the last admin away, or make the first account, at the same time.
LOCK TABLE public.inventory_accounts IN SHARE ROW EXCLUSIVE MODE;

-- others --
-- One row: how many accounts there are beside one, and how many of them are admins who can sign in.
SELECT count(*) AS accounts,
       count(*) FILTER (WHERE role = 'admin' AND (password_hash IS NOT NULL OR %(without_password)s)) AS admins
  FROM public.inventory_accounts
 WHERE id <> %(id)s;

-- set_role --
-- Nothing.
UPDATE public.inventory_accounts SET role = %(role)s WHERE id = %(id)s;

-- set_password --
-- Nothing; a link to choose one is worth nothing any more.
WITH invitation AS (
    DELETE FROM public.inventory_invitations WHERE account_id = %(id)s)
UPDATE public.inventory_accounts SET password_hash = %(password_hash)s WHERE id = %(id)s;

-- rehash_password --
-- Nothing. It is the same password, kept in another way.
UPDATE public.inventory_accounts SET password_hash = %(password_hash)s WHERE id = %(id)s;

-- delete_account --
-- Nothing; its sessions and invitations go with it.
DELETE FROM public.inventory_accounts WHERE id = %(id)s;

-- open_session --
-- Nothing. Those that have expired go, some at a time.
WITH expired AS (
    DELETE FROM public.inventory_sessions
     WHERE id = ANY(ARRAY(
        SELECT id FROM public.inventory_sessions
         WHERE seen_at <= now() - %(idle)s::interval
         LIMIT 100 FOR UPDATE SKIP LOCKED)))
INSERT INTO public.inventory_sessions (token_hash, account_id, address, agent)
VALUES (%(token_hash)s, %(account_id)s, %(address)s, %(agent)s);

-- close_session --
-- Nothing.
DELETE FROM public.inventory_sessions WHERE token_hash = %(token_hash)s;

-- close_session_of_account --
-- Nothing; of another account nothing is closed.
DELETE FROM public.inventory_sessions WHERE account_id = %(account_id)s AND id = %(id)s;

-- close_sessions_of_account --
-- Nothing. All of them but one; 0: all.
DELETE FROM public.inventory_sessions WHERE account_id = %(account_id)s AND id <> %(kept)s;

-- sessions_of_account --
-- Those that have not expired, the one seen last first.
SELECT id, created_at, seen_at, address, agent
  FROM public.inventory_sessions
 WHERE account_id = %(account_id)s
   AND seen_at > now() - %(idle)s::interval
   AND created_at > now() - %(longest)s::interval
 ORDER BY seen_at DESC, id DESC;

-- invite --
-- Nothing. The newest invitation takes the place of the one before.
INSERT INTO public.inventory_invitations (token_hash, account_id, made_by, expires_at)
VALUES (%(token_hash)s, %(account_id)s, %(made_by)s, now() + %(lasts)s::interval)
    ON CONFLICT (account_id) DO UPDATE
   SET token_hash = excluded.token_hash, made_by = excluded.made_by, expires_at = excluded.expires_at;

-- invitation --
-- At most one row: whom an invitation is for; without an account for whoever makes the first. An admin's holds as long
-- as he is one.
SELECT i.account_id, a.name, a.role
  FROM public.inventory_invitations AS i
  LEFT JOIN public.inventory_accounts AS a ON a.id = i.account_id
  LEFT JOIN public.inventory_accounts AS maker ON maker.id = i.made_by
 WHERE i.token_hash = %(token_hash)s
   AND i.expires_at > now()
   AND (i.made_by IS NULL OR maker.role = 'admin')
   AND (i.account_id IS NOT NULL OR NOT EXISTS (SELECT FROM public.inventory_accounts));

-- spend_invitation --
-- The invitation, which from now on is worth nothing.
DELETE FROM public.inventory_invitations
 WHERE token_hash = %(token_hash)s AND expires_at > now()
RETURNING account_id;
