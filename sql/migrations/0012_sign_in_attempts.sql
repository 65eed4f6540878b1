-- Who tries to sign in too often waits. A row for each thing that attempts are counted of: the name of an account, an
-- address, and the two together. They are digests, for what is typed as a name is at times a password.
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE public.inventory_sign_in_attempts (
    digest bytea PRIMARY KEY,
    -- So many failures cost nothing; from then on each costs twice the time of the one before.
    free bigint NOT NULL,
    failures bigint NOT NULL,
    not_before timestamptz,
    expires_at timestamptz NOT NULL,
    -- This account has signed in from this address: strangers elsewhere cannot keep it out.
    is_familiar boolean NOT NULL DEFAULT FALSE
);
COMMENT ON TABLE public.inventory_sign_in_attempts IS 'Failed attempts to sign in, and from where accounts have signed in.';

-- The oldest ones go first, some with each attempt.
CREATE INDEX inventory_sign_in_attempts_expires_at ON public.inventory_sign_in_attempts (expires_at);
