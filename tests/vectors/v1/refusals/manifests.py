"""Manifests that are refused."""

import hashlib

from cose import Ed25519Key, cbor, seconds
from parties import NOW, STRANGER, signed, vector, without

DP = Ed25519Key(8)
# The generator of ristretto255 (RFC 9496 §4): a valid element.
ELEMENT = bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")
DAY = 24 * 60 * 60
SHAPE = {1: "rlwe-2048-v1", 2: 4096, 3: 16384, 4: 56, 5: 28, 6: 20, 7: -45}


def good(**shape):
    pir = SHAPE | {int(key[1:]): value for key, value in shape.items()}
    digest = lambda text: hashlib.sha3_256(text).digest()
    database, hint, epoch = digest(b"database"), digest(b"hint"), 5
    snapshot = digest(b"sotto/v1/snapshot" + database + hint + epoch.to_bytes(8) + cbor(pir))
    return {
        1: 1, 2: snapshot, 3: b"\3" * 16, 4: seconds(NOW) - DAY, 5: seconds(NOW) + DAY, 6: pir, 7: epoch,
        8: cbor(DP.cose), 9: ELEMENT, 10: 6, 11: 640, 12: 10, 13: b"\4" * 32, 14: digest(b"root"),
        15: database, 16: 4096 * 16384, 17: hint, 18: 77, 19: digest(b"trust list"),
        21: 9, 22: digest(b"audit"), 23: 2,
    }


def manifest(name, fields, rule, error, key=DP):
    return vector(name, "manifest", signed("manifest", cbor(fields), key), rule, error)


def valid():
    """The manifest that the others differ from."""
    return DP.sign1("manifest", cbor(good()))


def vectors():
    fields, object = good(), valid()
    yield vector("tagged as COSE_Sign1", "manifest", b"\xd2" + object, "profile: untagged", "Envelope.Cbor.UnsupportedType")
    yield vector("with a byte more", "manifest", object + b"\0", "RFC 8949 §5.1: one item", "Envelope.Cbor.TrailingBytes")
    yield vector("as a mapping", "manifest", DP.sign1("mapping", cbor(fields)), "profile: content type of the kind", "Envelope.WrongContentType")
    wrong = signed("manifest", cbor(fields), DP, sign=STRANGER.sign)
    yield vector("by another key under the DP's kid", "manifest", wrong, "RFC 9052 §4.4", "Signature")
    pinned = "profile: signed by, and naming, the pinned DP key"
    yield manifest("by another key", fields, pinned, "ForeignKey", STRANGER)
    yield manifest("naming another key", fields | {8: cbor(STRANGER.cose)}, pinned, "ForeignKey")
    yield manifest("naming no key", fields | {8: b""}, pinned, "DpKey.Cbor.Truncated")
    yield manifest("naming a key with a kid", fields | {8: cbor(DP.cose | {2: b"kid"})}, pinned, "DpKey.MalformedKey")
    for key in fields:
        yield manifest(f"without field {key}", without(fields, key), "profile: exactly fields 1 to 26, 20 and 24 to 26 optional", "Payload.MissingField")
    yield manifest("with field 27", fields | {27: 0}, "profile: fields 1 to 26, 20 and 24 to 26 optional", "Payload.UnknownField")
    yield manifest("with token keys of 31 bytes", fields | {24: bytes(31)}, "profile: a SHA3-256 digest", "Payload.WrongType")
    yield manifest("with a filter of no length", fields | {25: bytes(32)}, "profile: 25 and 26 both or neither", "Payload.MissingField")
    yield manifest("with the length of no filter", fields | {26: 9}, "profile: 25 and 26 both or neither", "Payload.UnknownField")
    yield manifest("with the identity as OPRF key", fields | {9: bytes(32)}, "RFC 9497 §2.1: not the identity", "OprfKey.InvalidElement")
    yield manifest("with an OPRF key that is no element", fields | {9: b"\xff" * 32}, "RFC 9496 §4.3.1", "OprfKey.InvalidElement")
    times = "profile: published < expires ≤ 9999-12-30T22:00:00Z"
    now = seconds(NOW)
    yield manifest("expiring when published", fields | {4: now, 5: now}, times, "Inconsistent.Lifetime")
    yield manifest("expired now", fields | {5: now}, "profile: not on or after expires", "Expired")
    yield manifest("published 61 seconds from now", fields | {4: now + 61}, "profile: published at most 60 s from now", "NotYetValid")
    chain = "profile: sequence 1 alone has no predecessor"
    yield manifest("with sequence 0", fields | {1: 0}, chain, "Inconsistent.Chain")
    yield manifest("second without a predecessor", fields | {1: 2}, chain, "Inconsistent.Chain")
    yield manifest("first with a predecessor", fields | {20: b"\5" * 32}, chain, "Inconsistent.Chain")
    yield manifest("with another snapshot id", fields | {2: b"\0" * 32}, "profile: id from digests and shape", "Inconsistent.Snapshot")
    yield manifest("with another CRS epoch", fields | {7: 6}, "profile: id from digests and shape", "Inconsistent.Snapshot")
    yield manifest("with a group too many", fields | {12: 11}, "profile: a group for 64 records", "Inconsistent.Groups")
    yield manifest("with a parameter set in upper case", good(_1="RLWE"), "profile: a-z, 0-9, -, . and _", "Inconsistent.ParameterSetName")
    yield manifest("with a failure bound of 1", good(_7=0), "profile: a bound below 1", "Inconsistent.FailureBound")
    yield manifest("without columns", good(_2=0), "profile: 1 to 2^24 columns", "Inconsistent.Layout.Merkle.LeafCount")
    yield manifest("with 2^32 columns", good(_2=2**32), "profile: 1 to 2^24 columns", "OutOfRange")
    yield manifest("with 2^32 blocked records", fields | {23: 2**32}, "profile: at most 2^32 - 1", "OutOfRange")
    yield manifest("with 256 query bits", good(_4=256), "profile: at most 255", "OutOfRange")
    yield manifest("with more than 4096 items", [0] * 4097, "profile: at most 4096 items", "Payload.TooManyItems")
