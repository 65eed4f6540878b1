-- folded_name --
-- One row: a name as accounts are found by it.
SELECT public.inventory_fold(%(name)s) AS name;

-- forget_attempts --
-- Forgets some that are of no interest any more, and are counted by nobody at the moment.
DELETE FROM public.inventory_sign_in_attempts
 WHERE digest = ANY(ARRAY(
    SELECT digest FROM public.inventory_sign_in_attempts WHERE expires_at < now() LIMIT 100 FOR UPDATE SKIP LOCKED));

-- is_familiar --
-- One row: whether an account has signed in from an address.
SELECT EXISTS (
    SELECT FROM public.inventory_sign_in_attempts WHERE digest = %(digest)s AND is_familiar AND expires_at > now()
) AS is_familiar;

-- count_attempt --
-- Counts a failure of each of the digests; one row for each that did not have to wait.
INSERT INTO public.inventory_sign_in_attempts AS counted (digest, free, failures, expires_at)
SELECT digest, free, 1, now() + %(kept)s
  FROM unnest(%(digests)s::bytea[], %(free)s::bigint[]) AS attempted (digest, free)
 ORDER BY digest
    ON CONFLICT (digest) DO UPDATE
   SET failures = counted.failures + 1,
       not_before = CASE WHEN counted.failures >= counted.free THEN
           now() + least(%(longest)s, interval '1 second' * 2 ^ least(counted.failures - counted.free, 30)) END,
       expires_at = greatest(counted.expires_at, excluded.expires_at)
 WHERE coalesce(counted.not_before <= now(), TRUE)
RETURNING digest;

-- attempts_wait --
-- One row: the seconds until all of the digests may try again.
SELECT coalesce(extract(epoch FROM max(not_before) - now()), 0)::float AS wait_s
  FROM public.inventory_sign_in_attempts
 WHERE digest = ANY(%(digests)s);

-- undo_attempt --
-- Takes back one failure of each of the digests.
UPDATE public.inventory_sign_in_attempts
   SET failures = greatest(failures - 1, 0), not_before = NULL
 WHERE digest = ANY(%(digests)s);

-- make_familiar --
-- Notes that an account has signed in from an address; what was counted of the two is forgotten.
INSERT INTO public.inventory_sign_in_attempts (digest, free, failures, expires_at, is_familiar)
VALUES (%(digest)s, %(free)s, 0, now() + %(kept)s, TRUE)
    ON CONFLICT (digest) DO UPDATE
   SET failures = 0, not_before = NULL, expires_at = excluded.expires_at, is_familiar = TRUE;
