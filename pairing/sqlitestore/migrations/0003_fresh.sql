-- Whether its owner found a payment queued: then nobody else can have sent it.
ALTER TABLE payments ADD COLUMN
    fresh /* whether its owner found it queued */ INTEGER NOT NULL DEFAULT 0 CHECK (fresh IN (0, 1));
