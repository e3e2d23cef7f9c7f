"""Removals and releases that are refused."""

from cose import cbor, seconds
from parties import (
    CSIP, HOLDER, LAST_SECOND, NOW, STRANGER, removal_fields, release_fields, signed, vector, without,
)
from refusals.credentials import AMERICAN, AMERICAN_CSIP, EXPIRED_CSIP, FUTURE_CSIP


def removal(name, fields, rule, error, key=HOLDER):
    return vector(name, "removal", signed("removal", cbor(fields), key), rule, error)


def release(name, fields, rule, error, key=CSIP):
    return vector(name, "release", signed("release", cbor(fields), key), rule, error)


def vectors():
    for make, good in [(removal, removal_fields()), (release, release_fields())]:
        subject, issued = (1, 4) if make is removal else (2, 4)
        exactly = "profile: exactly fields 1 to 5" + (", 2 optional" if make is removal else "")
        for key in good:
            if make is release or key != 2:
                yield make(f"without field {key}", without(good, key), exactly, "Fields.MissingField")
        yield make("with field 6", good | {6: 0}, exactly, "Fields.UnknownField")
        yield make("for a spelling of the subject", good | {subject: "+442079460000"}, "profile: canonical CSI", "Subject.NotCanonical")
        yield make("issued in a second", good | {issued: seconds(NOW) + 1}, "profile: not issued in the future", "NotYetValid")
        yield make("issued after 9999", good | {issued: LAST_SECOND + 1}, "profile: times up to 9999-12-30T22:00:00Z", "IssuedAt")
        yield make("issued at text", good | {issued: NOW}, "profile: seconds since 1970", "Fields.WrongType")
        yield make("of more than 1024 bytes", good | {6: b"\0" * 1000}, "profile: at most 1024 bytes", "TooLarge")
    yield from removals()
    yield from releases()


def removals():
    good = removal_fields()
    yield removal("with an id of 15 bytes", good | {2: b"\1" * 15}, "profile: id of 16 bytes", "Fields.WrongType")
    yield removal("with null for every mapping", good | {2: None}, "profile: no id for every mapping", "Fields.UnsupportedType")
    yield removal("with seq -1", good | {3: -1}, "profile: unsigned", "Fields.WrongType")
    yield removal("for another subject", good | {1: "tel:+442079460001"}, "profile: the credential's subject", "SubjectMismatch")
    yield removal("of another assignment", good | {5: 3}, "profile: the credential's assignment", "AssignmentMismatch")
    for name, key in [("the CSIP", CSIP), ("a stranger", STRANGER)]:
        yield removal(f"by {name}", good, "profile: signed by the credential's holder", "Cose.WrongKey", key)


def releases():
    good = release_fields()
    for reason in [0, 5, 2**64 - 1]:
        yield release(f"for reason {reason}", good | {5: reason}, "profile: reasons 1 to 4", "UnknownReason")
    yield release("for a reason in words", good | {5: "ported"}, "profile: unsigned", "Fields.WrongType")
    yield release("with assignment -1", good | {3: -1}, "profile: unsigned", "Fields.WrongType")
    yield release("by an issuer with a space", good | {1: "csip example"}, "profile: printable ASCII", "Issuer.Character")
    listed = "profile: issuer, key and scope are on the trust list"
    case = lambda name, changes, key, error: release(name, good | changes, listed, f"Untrusted.{error}", key)
    yield case("of an unknown issuer", {1: "nobody.example"}, CSIP, "UnknownIssuer")
    yield case("by the holder", {}, HOLDER, "UnknownKey")
    yield case("by the key of another issuer", {}, AMERICAN_CSIP, "UnknownKey")
    yield case("by an issuer for other numbers", {1: AMERICAN}, AMERICAN_CSIP, "OutOfScope")
    yield case("by a key that has ended", {}, EXPIRED_CSIP, "Expired")
    yield case("by a key that has not begun", {}, FUTURE_CSIP, "NotYetValid")
