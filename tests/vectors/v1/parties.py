"""Who signs the vectors, for whom and when; objects by their parts."""

from cose import AAD, Ed25519Key, P256Key, cbor, seconds, to_be_signed

ASSIGNMENT = -65537
CSIP, HOLDER = Ed25519Key(1), Ed25519Key(2)
P256_CSIP, P256_HOLDER = P256Key(1), P256Key(2)
STRANGER = Ed25519Key(9)
ISSUER, SUBJECT = "csip.example", "tel:+442079460000"
BEGIN, END, NOW = "2026-11-23T00:00:00Z", "2027-02-21T00:00:00Z", "2026-12-01T00:00:00Z"
MONTH = "2026-12-23T00:00:00Z"
# 9999-12-30T22:00:00Z, the last time that an object may name.
LAST_SECOND = 253402207200


def parts(protected, unprotected, payload, signature):
    """A COSE_Sign1 of items that are encoded already."""
    return b"\x84" + protected + unprotected + payload + signature


def signed(kind, payload, key, header=None, protected=None, aad=AAD, sign=None):
    """An object with any header: `header` as a map, or `protected` as its encoding."""
    if protected is None:
        protected = cbor(key.header(kind) if header is None else header)
    signature = (sign or key.sign)(to_be_signed(protected, payload, aad))
    return parts(cbor(protected), b"\xa0", cbor(payload), cbor(signature))


def credential_claims(holder=HOLDER):
    return {1: ISSUER, 2: SUBJECT, 4: seconds(END), 6: seconds(BEGIN), 8: {1: holder.cose}, ASSIGNMENT: 2}


def mapping_fields():
    entry = {1: "chat.example", 2: ["family", "personal"], 3: 0, 4: True}
    return {
        1: SUBJECT, 2: b"\1" * 16, 3: 7, 4: seconds(BEGIN), 5: seconds(MONTH), 6: 2,
        7: False, 8: False, 9: False, 10: [entry],
    }


def removal_fields():
    return {1: SUBJECT, 2: b"\1" * 16, 3: 8, 4: seconds(NOW), 5: 2}


def release_fields():
    return {1: ISSUER, 2: SUBJECT, 3: 2, 4: seconds(NOW), 5: 1}


def without(fields, key):
    return {other: value for other, value in fields.items() if other != key}


def vector(name, kind, data, rule, error, credential="EdDSA"):
    """An object that is refused with `error`: the variants of our error types
    from the outermost in. Mappings and removals are checked with the credential
    of `credential`'s holder."""
    found = {"name": f"{kind}: {name}", "kind": kind, "hex": data.hex(), "rule": rule, "error": error}
    if kind in ("mapping", "removal"):
        found["credential"] = credential
    return found
