-- Until when expired tokens were forgotten, in seconds since 1970: a clock that was
-- ahead and has gone back must not make them good again.
ALTER TABLE sotto.ledger ADD COLUMN forgotten bigint NOT NULL DEFAULT 0;
