"""Credentials that are refused for what they claim, or for who signed them."""

from cose import Ed25519Key, cbor, seconds
from curves import Edwards25519
from parties import (
    ASSIGNMENT, BEGIN, CSIP, END, HOLDER, ISSUER, LAST_SECOND, NOW, P256_CSIP, P256_HOLDER, STRANGER,
    credential_claims, signed, vector, without,
)

EXPIRED_CSIP, FUTURE_CSIP, AMERICAN_CSIP = Ed25519Key(5), Ed25519Key(6), Ed25519Key(7)
AMERICAN = "other.example"
MAX_VALIDITY = 90 * 24 * 60 * 60


def trusted():
    """(issuer, key, scopes, not before, not after) of the trust list."""
    scopes = ["tel:+44", "mailto:*@example.com"]
    return [
        (ISSUER, CSIP, scopes, None, None),
        (ISSUER, P256_CSIP, scopes, None, None),
        (ISSUER, EXPIRED_CSIP, scopes, None, NOW),
        (ISSUER, FUTURE_CSIP, scopes, "2026-12-01T00:00:01Z", None),
        (AMERICAN, AMERICAN_CSIP, ["tel:+1"], None, None),
    ]


def credential(name, claims, rule, error, key=CSIP):
    return vector(name, "credential", signed("credential", cbor(claims), key), rule, error)


def vectors():
    yield from times()
    yield from subjects()
    yield from forms()
    yield from holders()
    yield from trust()


def times():
    claims = credential_claims()
    validity = "profile: 1 second to 90 days"
    case = lambda name, iat, exp, error, rule=validity: credential(name, claims | {4: exp, 6: iat}, rule, error)
    begin, now = seconds(BEGIN), seconds(NOW)
    yield case("valid for 90 days and a second", begin, begin + MAX_VALIDITY + 1, "Validity")
    yield case("valid for no time", begin, begin, "Validity")
    yield case("ending before it begins", begin, begin - 1, "Validity")
    yield case("valid until after 9999", LAST_SECOND - 5, LAST_SECOND + 1, "Validity", "profile: times up to 9999-12-30T22:00:00Z")
    yield case("valid for ever", begin, 2**64 - 1, "Validity")
    yield case("valid from the next second on", now + 1, seconds(END), "NotYetValid", "RFC 8392 §3.1.6 and profile: not before iat")
    yield case("valid until now", begin, now, "Expired", "RFC 8392 §3.1.4: not on or after exp")
    yield case("issued in 1969", -1, begin, "Claims.WrongType", "profile: seconds since 1970")
    yield case("with a time as text", begin, END, "Claims.WrongType", "RFC 8392 §2: NumericDate")
    yield case("with a fraction of a second", begin + 0.5, seconds(END), "Claims.UnsupportedType", "profile: whole seconds")


def subjects():
    claims = credential_claims()
    cases = [
        ("tel:+44 20 7946 0000", "Subject.NotCanonical"),
        ("+442079460000", "Subject.NotCanonical"),
        ("TEL:+442079460000", "Subject.NotCanonical"),
        ("tel:+44(0)2079460000", "Subject.NotCanonical"),
        ("tel:+4402079460000", "Subject.NotCanonical"),
        ("tel:02079460000", "Subject.NoCountryCode"),
        ("tel:+442079460000;ext=7", "Subject.Extension"),
        ("tel:+44207946", "Subject.ImpossibleNumber"),
        ("tel:+9992079460000", "Subject.UnknownCountryCode"),
        ("mailto:Someone@example.com", "Subject.NotCanonical"),
        ("mailto:someone@EXAMPLE.com", "Subject.NotCanonical"),
        ("someone@example.com", "Subject.NotCanonical"),
        ("mailto:someone@bücher.example", "Subject.NotCanonical"),
        ("mailto:e\u0301@example.com", "Subject.NotCanonical"),
        ("mailto:someone@localhost", "Subject.Domain"),
        ("mailto:a..b@example.com", "Subject.LocalPart"),
        ('mailto:"a b"@example.com', "Subject.LocalPart"),
        (f"mailto:{'a' * 65}@example.com", "Subject.TooLong"),
        ("sip:someone@example.com", "Subject.LocalPart"),
        ("", "Subject.Empty"),
    ]
    for subject, error in cases:
        yield credential(f"for {subject!r}", claims | {2: subject}, "profile: canonical CSI", error)
    yield credential("for a subject in bytes", claims | {2: b"tel:+442079460000"}, "RFC 8392 §3.1.2: text", "Claims.WrongType")


def forms():
    claims = credential_claims()
    names = {1: "iss", 2: "sub", 4: "exp", 6: "iat", 8: "cnf", ASSIGNMENT: "assignment"}
    exactly = "profile: exactly iss, sub, exp, iat, cnf and assignment"
    for claim, name in names.items():
        yield credential(f"without {name}", without(claims, claim), exactly, "Claims.MissingField")
    more = {3: "aud", 5: seconds(BEGIN), 7: b"cti", 9: "scope", "iss": ISSUER, ASSIGNMENT - 1: 2}
    for claim, value in more.items():
        yield credential(f"with claim {claim}", claims | {claim: value}, exactly, "Claims.UnknownField")
    name = "profile: 1 to 255 printable ASCII characters"
    for issuer, error in [("", "Length"), ("c" * 256, "Length"), ("csip example", "Character"), ("csip.exämple", "Character"), ("csip\n", "Character")]:
        yield credential(f"by an issuer of {len(issuer)} characters, {issuer[:12]!r}", claims | {1: issuer}, name, f"Issuer.{error}")
    for value, shown in [(-1, "-1"), ("2", "text"), (True, "true"), ([2], "an array")]:
        yield credential(f"with assignment {shown}", claims | {ASSIGNMENT: value}, "profile: unsigned", "Claims.WrongType")
    yield credential("with assignment 2^64", claims | {ASSIGNMENT: 2**64}, "profile: at most 64 bits", "Claims.UnsupportedType")
    yield credential("with claims as an array", [ISSUER], "RFC 8392 §3: a map", "Claims.WrongType")
    long = claims | {2000: "x" * 2000}
    yield credential("of more than 2048 bytes", long, "profile: at most 2048 bytes", "TooLarge")


def holders():
    claims = credential_claims()
    case = lambda name, cnf, rule, error: credential(name, claims | {8: cnf}, rule, error)
    confirmation = "RFC 8747 §3.2: COSE_Key"
    yield case("with cnf as bytes", cbor(HOLDER.cose), confirmation, "Claims.WrongType")
    yield case("with an empty cnf", {}, confirmation, "Claims.MissingField")
    yield case("with a kid as cnf", {3: HOLDER.id}, confirmation, "Claims.MissingField")
    yield case("with a kid beside the key", {1: HOLDER.cose, 3: HOLDER.id}, "profile: cnf holds the key alone", "Claims.UnknownField")
    yield case("with the key as bytes", {1: cbor(HOLDER.cose)}, confirmation, "HolderKey.MalformedKey")
    plain = "profile: no other parameters"
    yield case("with a key that names its algorithm", {1: HOLDER.cose | {3: -8}}, plain, "HolderKey.MalformedKey")
    yield case("with a secret key", {1: HOLDER.cose | {-4: HOLDER.seed}}, plain, "HolderKey.MalformedKey")
    yield case("with an X25519 key", {1: HOLDER.cose | {-1: 4}}, "profile: Ed25519 or P-256", "HolderKey.MalformedKey")
    yield case("with a short key", {1: HOLDER.cose | {-2: HOLDER.x[:31]}}, "RFC 9053 §7.2", "HolderKey.MalformedKey")
    small = Edwards25519.encode(Edwards25519.torsion())
    yield case("with a key of small order", {1: HOLDER.cose | {-2: small}}, "profile: no key of small order", "HolderKey.WeakKey")
    p256 = P256_HOLDER.cose
    yield case("with a P-256 key of a sign for y", {1: p256 | {-3: True}}, "profile: y is a byte string", "HolderKey.MalformedKey")
    yield case("with a P-256 key named P-384", {1: p256 | {-1: 2}}, "profile: Ed25519 or P-256", "HolderKey.MalformedKey")
    yield case("with a P-256 key of x and y swapped", {1: p256 | {-2: p256[-3], -3: p256[-2]}}, "SP 800-186: on the curve", "HolderKey.WeakKey")


def trust():
    claims = credential_claims()
    listed = "profile: issuer, key and scope are on the trust list"
    case = lambda name, changes, key, error: credential(name, claims | changes, listed, f"Untrusted.{error}", key)
    yield case("of an unknown issuer", {1: "nobody.example"}, CSIP, "UnknownIssuer")
    yield case("of an issuer in other letters", {1: ISSUER.upper()}, CSIP, "UnknownIssuer")
    yield case("by an unknown key", {}, STRANGER, "UnknownKey")
    yield case("by its own holder", {}, HOLDER, "UnknownKey")
    yield case("by the key of another issuer", {}, AMERICAN_CSIP, "UnknownKey")
    yield case("of another issuer by this one's key", {1: AMERICAN, 2: "tel:+14155550123"}, CSIP, "UnknownKey")
    yield case("for a number out of scope", {2: "tel:+14155550123"}, CSIP, "OutOfScope")
    yield case("by an issuer for other numbers", {1: AMERICAN}, AMERICAN_CSIP, "OutOfScope")
    yield case("for an address out of scope", {2: "mailto:someone@example.org"}, CSIP, "OutOfScope")
    yield case("for an address of a subdomain", {2: "mailto:someone@sub.example.com"}, CSIP, "OutOfScope")
    yield case("by an ES256 key for a number out of scope", {2: "tel:+14155550123"}, P256_CSIP, "OutOfScope")
    yield case("by a key that has ended", {}, EXPIRED_CSIP, "Expired")
    yield case("by a key that has not begun", {}, FUTURE_CSIP, "NotYetValid")
    forged = signed("credential", cbor(claims), CSIP, sign=STRANGER.sign)
    yield vector("by an unknown key under a trusted kid", "credential", forged, "RFC 9052 §4.4", "Cose.BadSignature")
