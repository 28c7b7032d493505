-- The tables of Tillroute. SQLite has the same ones under the same names.
--
-- NULL in a time means not yet. Amounts are in units of their currency. Outcomes are 'unknown', 'approved', 'declined',
-- 'cancelled' and 'failed'. Texts that are looked up or ordered compare by bytes.

CREATE TABLE @pairings (
    system        text        COLLATE "C" NOT NULL,
    account       text        COLLATE "C" NOT NULL,
    register      text        COLLATE "C" NOT NULL,
    provider      text        COLLATE "C" NOT NULL,
    serial        text        COLLATE "C" NOT NULL,
    register_name text        NOT NULL DEFAULT '',
    terminal_name text        NOT NULL DEFAULT '',
    identity      text        NOT NULL DEFAULT '',
    version       bigint      NOT NULL DEFAULT 1,
    paired_at     timestamptz NOT NULL,
    unpaired_at   timestamptz,
    PRIMARY KEY (system, account, register)
);

COMMENT ON TABLE @pairings IS 'Which terminal each register''s payments go to. A row outlives its pairing, to go on counting versions.';
COMMENT ON COLUMN @pairings.identity IS 'SECRET: the name under which the provider knows the register.';

CREATE TABLE @pairing_codes (
    code          text        COLLATE "C" PRIMARY KEY,
    provider      text        COLLATE "C" NOT NULL,
    serial        text        COLLATE "C" NOT NULL,
    terminal_name text        NOT NULL DEFAULT '',
    issued_at     timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    ended         text        CHECK (ended IN ('used', 'replaced'))
);

CREATE INDEX pairing_codes_terminal ON @pairing_codes (provider, serial);

COMMENT ON TABLE @pairing_codes IS 'The codes that terminals showed. One is good while ended is NULL and expires_at is to come.';

CREATE TABLE @code_tries (
    key     text        COLLATE "C" PRIMARY KEY,
    tries   bigint      NOT NULL,
    ends_at timestamptz NOT NULL
);

CREATE INDEX code_tries_ends ON @code_tries (ends_at);

COMMENT ON TABLE @code_tries IS 'How many wrong codes each party has typed, until ends_at.';

CREATE TABLE @payments (
    seq         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text        COLLATE "C" NOT NULL UNIQUE,
    system      text        COLLATE "C" NOT NULL,
    account     text        COLLATE "C" NOT NULL,
    register    text        COLLATE "C" NOT NULL,
    kind        text        NOT NULL,
    amount      numeric     NOT NULL,
    currency    text        NOT NULL,
    reference   text        NOT NULL DEFAULT '',
    data        bytea       NOT NULL DEFAULT '',
    provider    text        COLLATE "C" NOT NULL,
    serial      text        COLLATE "C" NOT NULL,
    identity    text        NOT NULL DEFAULT '',
    state       text        NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sending', 'sent', 'unknown', 'done')),
    outcome     text        NOT NULL DEFAULT 'unknown',
    withdrawn   boolean     NOT NULL DEFAULT false,
    note        text        NOT NULL DEFAULT '',

    owner       text        NOT NULL DEFAULT '',
    fresh       boolean     NOT NULL DEFAULT false,
    fence       bigint      NOT NULL DEFAULT 0,
    lease_until timestamptz,
    not_before  timestamptz,

    accepted_at timestamptz NOT NULL,
    sent_at     timestamptz,
    ended_at    timestamptz,

    handle_transaction_id text NOT NULL DEFAULT '',
    handle_token          text NOT NULL DEFAULT '',
    handle_serial         text NOT NULL DEFAULT '',

    charged        numeric NOT NULL DEFAULT 0,
    surcharge      numeric NOT NULL DEFAULT 0,
    tip            numeric NOT NULL DEFAULT 0,
    transaction_id text    NOT NULL DEFAULT '',
    auth_code      text    NOT NULL DEFAULT '',
    acquirer       text    NOT NULL DEFAULT '',
    card_type      text    NOT NULL DEFAULT '',
    card_number    text    NOT NULL DEFAULT '',
    receipt        text    NOT NULL DEFAULT '',
    reason         text    NOT NULL DEFAULT '',
    resolved_by    text    NOT NULL DEFAULT '',
    mark           text    NOT NULL DEFAULT '',

    -- Which is why payments_turn needn't look at the state: a payment that becomes sent stays where it is in every index.
    CHECK ((state IN ('sending', 'sent')) = (lease_until IS NOT NULL)),
    CHECK (not_before IS NULL OR state = 'queued')
) WITH (
    -- Room beside each row for its next versions, and a queue whose index is swept often.
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02
);

-- The queues. It holds what is queued, sending or sent, and so stays small whatever the history.
CREATE INDEX payments_open ON @payments (provider, serial, seq)
    WHERE ended_at IS NULL;

-- The payment that has begun its turn at its terminal: it is in flight, or was and is queued again. There is never a
-- second one.
CREATE UNIQUE INDEX payments_turn ON @payments (provider, serial)
    WHERE lease_until IS NOT NULL OR not_before IS NOT NULL;

-- What waits for a person.
CREATE INDEX payments_unknown ON @payments (seq)
    WHERE outcome = 'unknown' AND ended_at IS NOT NULL;

COMMENT ON TABLE @payments IS 'Every payment that was ever accepted, and each terminal''s queue. A row is never deleted.';
COMMENT ON COLUMN @payments.seq IS 'The order in which a terminal''s payments were accepted.';
COMMENT ON COLUMN @payments.id IS 'The caller''s idempotency key.';
COMMENT ON COLUMN @payments.amount IS 'What was asked for.';
COMMENT ON COLUMN @payments.data IS 'For the driver.';
COMMENT ON COLUMN @payments.provider IS 'The terminal it goes to: who moves money on it.';
COMMENT ON COLUMN @payments.serial IS 'The terminal it goes to: which one.';
COMMENT ON COLUMN @payments.identity IS 'SECRET: as in pairings, when it was accepted.';
COMMENT ON COLUMN @payments.state IS 'queued: waits for its turn, nothing was sent. sending: is being handed to the terminal; it may have been sent, and is never sent again. sent: the terminal''s side took it. unknown: nobody can say what happened; a person decides. done: outcome is final.';
COMMENT ON COLUMN @payments.withdrawn IS 'Cancelled before it was sent.';
COMMENT ON COLUMN @payments.note IS 'The last that was reported while it was under way.';
COMMENT ON COLUMN @payments.owner IS 'The worker that has, or had, it.';
COMMENT ON COLUMN @payments.fresh IS 'Whether its owner found it queued.';
COMMENT ON COLUMN @payments.fence IS 'Counts the claims; only the latest may write.';
COMMENT ON COLUMN @payments.lease_until IS 'When another worker may take over; NULL unless sending or sent.';
COMMENT ON COLUMN @payments.not_before IS 'Set while it is queued again: it holds its queue back until then.';
COMMENT ON COLUMN @payments.ended_at IS 'NULL while it has its place in the queue.';
COMMENT ON COLUMN @payments.handle_transaction_id IS 'How the terminal''s side is asked about it.';
COMMENT ON COLUMN @payments.handle_token IS 'SECRET';
COMMENT ON COLUMN @payments.charged IS 'What was charged or refunded in all.';
COMMENT ON COLUMN @payments.card_number IS 'Masked.';
COMMENT ON COLUMN @payments.reason IS 'Why it ended as it did.';
COMMENT ON COLUMN @payments.resolved_by IS 'The person who decided.';
COMMENT ON COLUMN @payments.mark IS 'What the register''s side keeps about it.';

CREATE TABLE @deliveries (
    fence       bigint      GENERATED BY DEFAULT AS IDENTITY,
    source      text        COLLATE "C" NOT NULL,
    key         text        COLLATE "C" NOT NULL,
    hash        bytea       NOT NULL,
    begun_at    timestamptz NOT NULL,
    lease_until timestamptz NOT NULL,
    finished_at timestamptz,
    answer      bytea,
    PRIMARY KEY (source, key)
) WITH (fillfactor = 80);

CREATE INDEX deliveries_age ON @deliveries (coalesce(finished_at, lease_until));

COMMENT ON TABLE @deliveries IS 'Which webhooks were answered.';
COMMENT ON COLUMN @deliveries.fence IS 'Tells this attempt from all others.';
COMMENT ON COLUMN @deliveries.key IS 'The sender''s idempotency key.';
COMMENT ON COLUMN @deliveries.hash IS 'Of the content.';
COMMENT ON COLUMN @deliveries.lease_until IS 'When it counts as abandoned unless it is finished.';

CREATE TABLE @grants (
    system        text        COLLATE "C" NOT NULL,
    account       text        COLLATE "C" NOT NULL,
    access_token  text        NOT NULL,
    refresh_token text        NOT NULL,
    token_type    text        NOT NULL,
    scope         text        NOT NULL,
    expiry        timestamptz,
    extra         text        NOT NULL,
    version       bigint      NOT NULL DEFAULT 1,
    granted_at    timestamptz NOT NULL,
    deleted_at    timestamptz,
    refresh_owner text        NOT NULL DEFAULT '',
    refresh_until timestamptz,
    PRIMARY KEY (system, account)
);

COMMENT ON TABLE @grants IS 'What merchants'' consents gave us. A row outlives its grant, without the secrets, to go on counting versions.';
COMMENT ON COLUMN @grants.access_token IS 'SECRET';
COMMENT ON COLUMN @grants.refresh_token IS 'SECRET';
COMMENT ON COLUMN @grants.extra IS 'SECRET';
COMMENT ON COLUMN @grants.refresh_owner IS 'Who is using the refresh token, until refresh_until.';
