-- Who may see and change the stock. Without a row in inventory_accounts the application is open to whoever reaches it,
-- or to nobody, as the operator says. Of whatever lets somebody in only the SHA-256 is kept.
-- squawk-ignore-file adding-not-nullable-field, constraint-missing-not-valid, disallowed-unique-constraint
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE public.inventory_accounts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL
        CONSTRAINT inventory_accounts_name_plausible
        CHECK (char_length(name) <= 64 AND public.inventory_trim(name) <> ''),
    -- Argon2; NULL: it signs in by an invitation only, and then chooses one.
    password_hash text,
    role text NOT NULL
        CONSTRAINT inventory_accounts_role_known CHECK (role IN ('viewer', 'editor', 'admin')),
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE public.inventory_accounts IS 'People who may sign in.';
CREATE UNIQUE INDEX inventory_accounts_name_unique ON public.inventory_accounts (public.inventory_fold(name));

CREATE TABLE public.inventory_sessions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token_hash bytea NOT NULL UNIQUE,
    account_id bigint NOT NULL REFERENCES public.inventory_accounts ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    address text NOT NULL,
    agent text NOT NULL
);
COMMENT ON TABLE public.inventory_sessions IS 'Browsers that are signed in.';
CREATE INDEX inventory_sessions_account ON public.inventory_sessions (account_id);
CREATE INDEX inventory_sessions_seen_at ON public.inventory_sessions (seen_at);

-- A link that works once: to choose the password of an account, or, without one, to make the first of all.
CREATE TABLE public.inventory_invitations (
    token_hash bytea PRIMARY KEY,
    account_id bigint REFERENCES public.inventory_accounts ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE public.inventory_invitations IS 'Links by which people choose their password.';
CREATE INDEX inventory_invitations_account ON public.inventory_invitations (account_id);

-- Processes look again at once whether those who are connected still may be; without hearing it, each second.
CREATE FUNCTION public.inventory_accounts_announce() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pg_notification_queue_usage() <= 0.5 THEN
        NOTIFY inventory_accounts;
    END IF;
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION public.inventory_accounts_announce() FROM PUBLIC;
CREATE TRIGGER inventory_accounts_announce
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON public.inventory_accounts
    FOR EACH STATEMENT EXECUTE FUNCTION public.inventory_accounts_announce();
CREATE TRIGGER inventory_sessions_announce
    AFTER DELETE OR TRUNCATE ON public.inventory_sessions
    FOR EACH STATEMENT EXECUTE FUNCTION public.inventory_accounts_announce();
