-- any_account --
-- One row: whether there are accounts at all.
SELECT EXISTS (SELECT FROM public.inventory_accounts) AS found;

-- sessions_of_tokens --
-- Those of some sessions that have not expired, with the account as it is now, and whether to note that they are used.
SELECT s.id AS session_id, s.token_hash, s.account_id, a.name, a.role, s.seen_at < now() - interval '1 minute' AS is_unseen
  FROM public.inventory_sessions AS s
  JOIN public.inventory_accounts AS a ON a.id = s.account_id
 WHERE s.token_hash = ANY(%(token_hashes)s)
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

-- accounts --
-- All accounts by name, with when each was last seen, and whether it has a password.
SELECT a.id, a.name, a.role, a.created_at, a.password_hash IS NOT NULL AS has_password,
       count(s.id) AS sessions, max(s.seen_at) AS seen_at
  FROM public.inventory_accounts AS a
  LEFT JOIN public.inventory_sessions AS s ON s.account_id = a.id
 GROUP BY a.id
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
-- One row: how many accounts there are beside one, and how many of them are admins.
SELECT count(*) AS accounts, count(*) FILTER (WHERE role = 'admin') AS admins
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

-- delete_account --
-- Nothing; its sessions and invitations go with it.
DELETE FROM public.inventory_accounts WHERE id = %(id)s;

-- open_session --
-- Nothing. Those that have expired go, some at a time.
WITH expired AS (
    DELETE FROM public.inventory_sessions
     WHERE id = ANY(ARRAY(
        SELECT id FROM public.inventory_sessions WHERE seen_at <= now() - %(idle)s::interval LIMIT 100)))
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
-- Nothing. An account has one invitation at a time; those that have expired go.
WITH older AS (
    DELETE FROM public.inventory_invitations
     WHERE expires_at <= now() OR account_id = %(account_id)s)
INSERT INTO public.inventory_invitations (token_hash, account_id, expires_at)
VALUES (%(token_hash)s, %(account_id)s, now() + %(lasts)s::interval);

-- invitation --
-- At most one row: whom an invitation is for; without an account for whoever makes the first.
SELECT i.account_id, a.name, a.role
  FROM public.inventory_invitations AS i
  LEFT JOIN public.inventory_accounts AS a ON a.id = i.account_id
 WHERE i.token_hash = %(token_hash)s
   AND i.expires_at > now()
   AND (i.account_id IS NOT NULL OR NOT EXISTS (SELECT FROM public.inventory_accounts));

-- spend_invitation --
-- The invitation, which from now on is worth nothing.
DELETE FROM public.inventory_invitations
 WHERE token_hash = %(token_hash)s AND expires_at > now()
RETURNING account_id;
