-- The ledger: what senders have spent. Meters and tokens are named by hashes;
-- nothing here shows an account or a sender.

-- One row. Whoever spends locks it first, so that spending of all servers takes
-- effect one after another.
CREATE TABLE sotto.ledger (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    version bigint NOT NULL,
    key_check bytea NOT NULL CHECK (octet_length(key_check) = 32)
);

-- parts: 3600ths of elements in the bucket; at: when that was so; spent: elements
-- of that day; full_at: from when on the row may be forgotten. Seconds since 1970.
CREATE TABLE sotto.quota (
    meter bytea PRIMARY KEY CHECK (octet_length(meter) = 32),
    parts bigint NOT NULL,
    at bigint NOT NULL,
    spent bigint NOT NULL,
    full_at bigint NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE sotto.spent (
    id bytea PRIMARY KEY CHECK (octet_length(id) = 32),
    expires bigint NOT NULL
);
CREATE INDEX spent_expires ON sotto.spent (expires);
