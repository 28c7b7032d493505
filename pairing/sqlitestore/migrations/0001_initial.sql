-- The tables of Tillroute. PostgreSQL has the same ones under the same names.
--
-- Times are UTC text of one width, 2006-01-02T15:04:05.000Z, so that they compare as text. NULL means not yet.
-- Amounts are exact decimal text in units of their currency. Outcomes are 'unknown', 'approved', 'declined',
-- 'cancelled' and 'failed'.
--
-- Columns marked SECRET hold what lets its reader act for a merchant: keep them out of tickets and logs.

-- Which terminal each register's payments go to.
CREATE TABLE pairings (
    system        TEXT    NOT NULL,            -- the point-of-sale system
    account       TEXT    NOT NULL,            -- the merchant's account there
    register      TEXT    NOT NULL,            -- the register within the account
    provider      TEXT    NOT NULL,            -- the terminal: who moves money on it
    serial        TEXT    NOT NULL,            -- the terminal: which one
    register_name TEXT    NOT NULL DEFAULT '',
    terminal_name TEXT    NOT NULL DEFAULT '',
    identity      TEXT    NOT NULL DEFAULT '', -- SECRET: the name under which the provider knows the register
    version       INTEGER NOT NULL DEFAULT 1,  -- counts the changes; the row outlives the pairing to go on counting
    paired_at     TEXT    NOT NULL,
    unpaired_at   TEXT,                        -- NULL while the register is paired
    PRIMARY KEY (system, account, register)
) STRICT, WITHOUT ROWID;

-- The codes that terminals showed. A code is good while ended is NULL and expires_at is to come.
CREATE TABLE pairing_codes (
    code          TEXT NOT NULL PRIMARY KEY,
    provider      TEXT NOT NULL,
    serial        TEXT NOT NULL,
    terminal_name TEXT NOT NULL DEFAULT '',
    issued_at     TEXT NOT NULL,
    expires_at    TEXT NOT NULL,
    ended         TEXT CHECK (ended IN ('used', 'replaced'))
) STRICT, WITHOUT ROWID;

CREATE INDEX pairing_codes_terminal ON pairing_codes (provider, serial);

-- How many wrong codes each party has typed, until ends_at.
CREATE TABLE code_tries (
    key     TEXT    NOT NULL PRIMARY KEY,
    tries   INTEGER NOT NULL,
    ends_at TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX code_tries_ends ON code_tries (ends_at);

-- Every payment that was ever accepted, and each terminal's queue. A row is never deleted.
--
-- queued: waits for its turn, nothing was sent. sending: is being handed to the terminal; it may have been sent, and
-- is never sent again. sent: the terminal's side took it. unknown: nobody can say what happened; a person decides.
-- done: outcome is final.
CREATE TABLE payments (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order in which payments were accepted
    id          TEXT    NOT NULL UNIQUE,            -- the caller's idempotency key
    system      TEXT    NOT NULL,                   -- the register that asked for it
    account     TEXT    NOT NULL,
    register    TEXT    NOT NULL,
    kind        TEXT    NOT NULL,                   -- 'purchase', 'refund', …
    amount      TEXT    NOT NULL,                   -- what was asked for
    currency    TEXT    NOT NULL,
    reference   TEXT    NOT NULL DEFAULT '',
    data        BLOB    NOT NULL DEFAULT x'',       -- for the driver
    provider    TEXT    NOT NULL,                   -- the terminal it goes to
    serial      TEXT    NOT NULL,
    identity    TEXT    NOT NULL DEFAULT '',        -- SECRET: as in pairings, when it was accepted
    state       TEXT    NOT NULL DEFAULT 'queued'
                -- Not IN (…): SQLite would build a table of the five for each row that is written.
                CHECK (state = 'queued' OR state = 'sending' OR state = 'sent' OR state = 'unknown' OR state = 'done'),
    outcome     TEXT    NOT NULL DEFAULT 'unknown',
    withdrawn   INTEGER NOT NULL DEFAULT 0 CHECK (withdrawn IN (0, 1)), -- cancelled before it was sent
    note        TEXT    NOT NULL DEFAULT '',        -- the last that was reported while it was under way

    owner       TEXT    NOT NULL DEFAULT '',        -- the worker that has, or had, it
    fence       INTEGER NOT NULL DEFAULT 0,         -- counts the claims; only the latest may write
    lease_until TEXT,                               -- when another worker may take over; NULL unless sending or sent
    not_before  TEXT,                               -- set while it is queued again: it holds its queue back until then

    accepted_at TEXT    NOT NULL,
    sent_at     TEXT,
    ended_at    TEXT,                               -- NULL while it has its place in the queue

    handle_transaction_id TEXT NOT NULL DEFAULT '', -- how the terminal's side is asked about it
    handle_token          TEXT NOT NULL DEFAULT '', -- SECRET
    handle_serial         TEXT NOT NULL DEFAULT '',

    charged        TEXT NOT NULL DEFAULT '0',       -- what was charged or refunded in all
    surcharge      TEXT NOT NULL DEFAULT '0',
    tip            TEXT NOT NULL DEFAULT '0',
    transaction_id TEXT NOT NULL DEFAULT '',
    auth_code      TEXT NOT NULL DEFAULT '',
    acquirer       TEXT NOT NULL DEFAULT '',
    card_type      TEXT NOT NULL DEFAULT '',
    card_number    TEXT NOT NULL DEFAULT '',        -- masked
    receipt        TEXT NOT NULL DEFAULT '',
    reason         TEXT NOT NULL DEFAULT '',        -- why it ended as it did
    resolved_by    TEXT NOT NULL DEFAULT ''         -- the person who decided
) STRICT;

-- The queues. It holds what is queued, sending or sent, and so stays small whatever the history.
CREATE INDEX payments_open ON payments (provider, serial, seq)
    WHERE ended_at IS NULL;

-- The payment that has begun its turn at its terminal: it is in flight, or was and is queued again. There is never a
-- second one.
CREATE UNIQUE INDEX payments_turn ON payments (provider, serial)
    WHERE state IN ('sending', 'sent') OR not_before IS NOT NULL;

-- What waits for a person.
CREATE INDEX payments_unknown ON payments (seq)
    WHERE state = 'unknown';

-- Which webhooks were answered.
CREATE TABLE deliveries (
    fence       INTEGER PRIMARY KEY AUTOINCREMENT,  -- tells this attempt from all others
    source      TEXT NOT NULL,
    key         TEXT NOT NULL,                      -- the sender's idempotency key
    hash        BLOB NOT NULL,                      -- of the content
    begun_at    TEXT NOT NULL,
    lease_until TEXT NOT NULL,                      -- when it counts as abandoned unless it is finished
    finished_at TEXT,
    answer      BLOB,
    UNIQUE (source, key)
) STRICT;

CREATE INDEX deliveries_age ON deliveries (coalesce(finished_at, lease_until));

-- What merchants' consents gave us. A row outlives its grant, without the secrets, to go on counting versions.
CREATE TABLE grants (
    system        TEXT    NOT NULL,
    account       TEXT    NOT NULL,
    access_token  TEXT    NOT NULL, -- SECRET
    refresh_token TEXT    NOT NULL, -- SECRET
    token_type    TEXT    NOT NULL,
    scope         TEXT    NOT NULL,
    expiry        TEXT,             -- when the access token ends, if somebody said
    extra         TEXT    NOT NULL, -- SECRET
    version       INTEGER NOT NULL DEFAULT 1,
    granted_at    TEXT    NOT NULL,
    deleted_at    TEXT,             -- NULL while there is a grant
    refresh_owner TEXT    NOT NULL DEFAULT '', -- who is using the refresh token
    refresh_until TEXT,
    PRIMARY KEY (system, account)
) STRICT, WITHOUT ROWID;
