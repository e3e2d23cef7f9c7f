-- The store: rows and the block list are sealed before they come here, and
-- named by a keyed hash. Nothing in this database shows an identifier.
CREATE SCHEMA sotto;

-- One row. Every update locks it first, so that updates of all servers take
-- effect one after another and the audit log stays one chain.
CREATE TABLE sotto.meta (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    version bigint NOT NULL,
    key_check bytea NOT NULL CHECK (octet_length(key_check) = 32)
);

CREATE TABLE sotto.rows (
    id bytea PRIMARY KEY CHECK (octet_length(id) = 32),
    sealed bytea NOT NULL
);

CREATE TABLE sotto.blocked (
    id bytea PRIMARY KEY CHECK (octet_length(id) = 32),
    sealed bytea NOT NULL
);

CREATE TABLE sotto.audience (
    handle bytea PRIMARY KEY CHECK (octet_length(handle) = 32),
    owner text COLLATE "C" NOT NULL,
    expires bigint NOT NULL,
    salt bytea NOT NULL CHECK (octet_length(salt) = 16),
    record bytea NOT NULL
);
CREATE INDEX audience_owner ON sotto.audience (owner);
CREATE INDEX audience_expires ON sotto.audience (expires);

CREATE TABLE sotto.audit (
    index bigint PRIMARY KEY CHECK (index >= 0),
    entry bytea NOT NULL
);

-- Seven big-endian 64-bit counters each.
CREATE TABLE sotto.imports (
    source bytea PRIMARY KEY CHECK (octet_length(source) = 32),
    progress bytea NOT NULL CHECK (octet_length(progress) = 56)
);

-- Ciphertext doesn't compress.
ALTER TABLE sotto.rows ALTER COLUMN sealed SET STORAGE EXTERNAL;
ALTER TABLE sotto.audience ALTER COLUMN record SET STORAGE EXTERNAL;
