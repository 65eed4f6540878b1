-- What was answered to requests that may come a second time: written in the transaction of the change itself, so that
-- there is never one without the other.
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE public.inventory_idempotency_keys (
    key text PRIMARY KEY
        CONSTRAINT inventory_idempotency_keys_length CHECK (char_length(key) BETWEEN 1 AND 255),
    -- SHA-256 of what was asked: the same key with another request is a mistake, and not answered.
    fingerprint bytea NOT NULL,
    status bigint NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE public.inventory_idempotency_keys IS 'Answers that are given again to a request with the same key, for a day.';

-- The oldest ones go first, a few with each new one.
CREATE INDEX inventory_idempotency_keys_created_at ON public.inventory_idempotency_keys (created_at);
