-- API tokens: what programs show instead of a password. Of each only the SHA-256 is kept.
-- squawk-ignore-file disallowed-unique-constraint
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE public.inventory_tokens (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES public.inventory_accounts ON DELETE CASCADE,
    label text NOT NULL
        CONSTRAINT inventory_tokens_label_plausible
        CHECK (char_length(label) <= 64 AND public.inventory_trim(label) <> ''),
    token_hash bytea NOT NULL UNIQUE,
    may_write boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
COMMENT ON TABLE public.inventory_tokens IS 'API tokens: programs act with the rights of an account, or only read.';
CREATE INDEX inventory_tokens_account ON public.inventory_tokens (account_id);
CREATE TRIGGER inventory_tokens_announce
    AFTER DELETE OR TRUNCATE ON public.inventory_tokens
    FOR EACH STATEMENT EXECUTE FUNCTION public.inventory_accounts_announce();
