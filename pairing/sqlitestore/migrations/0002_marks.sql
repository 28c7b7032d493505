-- What the register's side keeps about a payment, such as whether it was told how it ended. Nobody else reads it.
ALTER TABLE payments ADD COLUMN
    mark /* what the register's side keeps about it */ TEXT NOT NULL DEFAULT '';
