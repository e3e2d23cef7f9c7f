"""Objects that are refused for their form: COSE, CBOR and the signature."""

from cose import P256_ORDER, cbor, to_be_signed
from curves import Edwards25519
from parties import (
    CSIP, HOLDER, P256_HOLDER, STRANGER, credential_claims, mapping_fields, parts, release_fields,
    removal_fields, signed, vector,
)

EDDSA, TYPE = -8, "application/sotto-mapping+cbor"
DETERMINISTIC = "RFC 8949 §4.2.1"
PLAIN = "profile: no tags, floats, null or other simple values"
SIGN1 = "RFC 9052 §4.2"
PROTECTED = "profile: exactly alg, content type and kid"


def vectors():
    yield from frames()
    yield from headers()
    yield from algorithms()
    yield from signatures()
    yield from payloads()
    yield from every_kind()


def mapping(name, data, rule, error):
    return vector(name, "mapping", data, rule, error)


def frames():
    """The array of four items."""
    protected, payload = cbor(HOLDER.header("mapping")), cbor(mapping_fields())
    signature = cbor(HOLDER.sign(to_be_signed(protected, payload)))
    items = cbor(protected), b"\xa0", cbor(payload), signature
    good = parts(*items)
    yield mapping("empty", b"", SIGN1, "Cose.Cbor.Truncated")
    yield mapping("tagged as COSE_Sign1", b"\xd2" + good, "profile: untagged", "Cose.Cbor.UnsupportedType")
    yield mapping("tagged as CBOR", b"\xd9\xd9\xf7" + good, "profile: untagged", "Cose.Cbor.UnsupportedType")
    yield mapping("with a byte more", good + b"\0", "RFC 8949 §5.1: one item", "Cose.Cbor.TrailingBytes")
    yield mapping("twice", good + good, "RFC 8949 §5.1: one item", "Cose.Cbor.TrailingBytes")
    yield mapping("without its last byte", good[:-1], "RFC 8949 §5.3.1", "Cose.Cbor.Truncated")
    yield mapping("of three items", b"\x83" + b"".join(items[:3]), SIGN1, "Cose.NotSign1")
    yield mapping("of five items", b"\x85" + b"".join(items) + b"\0", SIGN1, "Cose.NotSign1")
    yield mapping("as a map", cbor({0: protected, 1: {}, 2: payload, 3: b""}), SIGN1, "Cose.NotSign1")
    yield mapping("in a byte string", cbor(good), SIGN1, "Cose.NotSign1")
    yield mapping("of indefinite length", b"\x9f" + good[1:] + b"\xff", DETERMINISTIC, "Cose.Cbor.IndefiniteLength")
    yield mapping("with a longer head", b"\x98\x04" + good[1:], DETERMINISTIC, "Cose.Cbor.NotDeterministic")
    longer = b"\x59\0" + items[0][1:]
    yield mapping("with a longer head of the header", parts(longer, *items[1:]), DETERMINISTIC, "Cose.Cbor.NotDeterministic")
    chunks = b"\x5f" + items[2] + b"\xff"
    yield mapping("with the payload in chunks", parts(*items[:2], chunks, signature), DETERMINISTIC, "Cose.Cbor.IndefiniteLength")
    yield mapping("with the header as a map", parts(protected, *items[1:]), SIGN1, "Cose.NotSign1")
    yield mapping("with a detached payload", parts(*items[:2], b"\xf6", signature), "profile: attached payload", "Cose.Cbor.UnsupportedType")
    yield mapping("with the payload as a map", parts(*items[:2], payload, signature), SIGN1, "Cose.NotSign1")
    yield mapping("with the payload as text", parts(*items[:2], cbor("payload"), signature), SIGN1, "Cose.NotSign1")
    yield mapping("without a signature", parts(*items[:3], b"\xf6"), PLAIN, "Cose.Cbor.UnsupportedType")
    yield mapping("with the signature as text", parts(*items[:3], cbor("s" * 64)), SIGN1, "Cose.NotSign1")
    yield mapping("with kid unprotected too", parts(items[0], cbor({4: HOLDER.id}), *items[2:]), "profile: empty unprotected header", "Cose.UnprotectedHeader")
    yield mapping("with an unprotected certificate", parts(items[0], cbor({33: b"certificate"}), *items[2:]), "profile: empty unprotected header", "Cose.UnprotectedHeader")
    yield mapping("with the unprotected header as bytes", parts(items[0], b"\x40", *items[2:]), SIGN1, "Cose.NotSign1")


def headers():
    """The protected header."""
    payload, header = cbor(mapping_fields()), HOLDER.header("mapping")
    case = lambda name, rule, error, **how: mapping(name, signed("mapping", payload, HOLDER, **how), rule, error)
    yield case("with no header", SIGN1, "Cose.MissingHeader", protected=b"")
    yield case("with an empty header", PROTECTED, "Cose.MissingHeader", protected=b"\xa0")
    for label, name in [(1, "alg"), (3, "a content type"), (4, "kid")]:
        rest = {other: value for other, value in header.items() if other != label}
        yield case(f"without {name}", PROTECTED, "Cose.MissingHeader", header=rest)
    yield case("with crit", "RFC 9052 §3.1: a critical parameter must be understood", "Cose.CriticalHeader", header=header | {2: [1]})
    yield case("with an unknown crit", "RFC 9052 §3.1: a critical parameter must be understood", "Cose.CriticalHeader", header=header | {2: ["x"], "x": 1})
    yield case("with an empty crit", "RFC 9052 §3.1: crit is not empty", "Cose.NotSign1", header=header | {2: []})
    more = {5: b"iv", 6: b"iv", 15: {1: "csip.example"}, 16: TYPE, 33: b"certificate", 1000: 1, "x": 1}
    for label, value in more.items():
        yield case(f"with parameter {label}", PROTECTED, "Cose.UnexpectedHeader", header=header | {label: value})
    for name, found in [("a removal's", "application/sotto-removal+cbor"), ("a plain", "application/cbor"),
                        ("an upper-case", TYPE.upper()), ("a numeric", 60), ("an unknown numeric", 10000)]:
        yield case(f"with {name} content type", "profile: content type of the kind", "Cose.WrongContentType", header=header | {3: found})
    yield case("with a kid of 31 bytes", "RFC 9679 §3: SHA-256", "Cose.WrongKey", header=header | {4: HOLDER.id[:31]})
    yield case("with the kid of another key", "profile: kid is the signer's thumbprint", "Cose.WrongKey", header=header | {4: STRANGER.id})
    yield case("with an empty kid", PROTECTED, "Cose.NotSign1", header=header | {4: b""})
    yield case("with kid as text", "RFC 9052 §3.1: kid is a byte string", "Cose.NotSign1", header=header | {4: HOLDER.id.hex()})

    alg, kid = b"\x01\x27", b"\x04" + cbor(HOLDER.id)
    content = b"\x03" + cbor(TYPE)
    raw = lambda name, protected, error, rule=DETERMINISTIC: case(name, rule, error, protected=protected)
    yield raw("with header keys out of order", b"\xa3" + content + alg + kid, "Cose.Cbor.NotDeterministic")
    yield raw("with alg twice", b"\xa4" + alg + alg + content + kid, "Cose.Cbor.DuplicateKey", "RFC 8949 §5.6")
    yield raw("with kid twice, of two keys", b"\xa4" + alg + content + kid + b"\x04" + cbor(STRANGER.id), "Cose.Cbor.DuplicateKey", "RFC 8949 §5.6")
    yield raw("with a header of indefinite length", b"\xbf" + alg + content + kid + b"\xff", "Cose.Cbor.IndefiniteLength")
    yield raw("with a longer alg", b"\xa3\x01\x38\x07" + content + kid, "Cose.Cbor.NotDeterministic")
    yield raw("with a longer key of alg", b"\xa3\x18\x01\x27" + content + kid, "Cose.Cbor.NotDeterministic")
    yield raw("with a longer head of the map", b"\xb8\x03" + alg + content + kid, "Cose.Cbor.NotDeterministic")
    yield raw("with a byte after the header", b"\xa3" + alg + content + kid + b"\0", "Cose.Cbor.TrailingBytes", "RFC 8949 §5.1: one item")
    yield raw("with a header cut short", b"\xa3" + alg + content, "Cose.Cbor.Truncated", "RFC 8949 §5.3.1")
    yield raw("with a tagged alg", b"\xa3\x01\xc1\x27" + content + kid, "Cose.Cbor.UnsupportedType", PLAIN)
    yield raw("with a floating alg", b"\xa3\x01\xf9\xc8\x00" + content + kid, "Cose.Cbor.UnsupportedType", PLAIN)
    yield raw("with the header as an array", cbor([1, EDDSA]), "Cose.NotSign1", "RFC 9052 §3")


def algorithms():
    """alg, and the key that it must fit."""
    payload = cbor(mapping_fields())
    for name, alg in [("ES384", -35), ("ES512", -36), ("ES256K", -47), ("Ed25519", -19), ("ESP256", -9), ("HMAC 256/256", 5), ("text", "EdDSA")]:
        data = signed("mapping", payload, HOLDER, header=HOLDER.header("mapping") | {1: alg})
        yield mapping(f"with alg {name}", data, "profile: alg is -8 or -7", "Cose.UnknownAlgorithm")
    data = signed("mapping", payload, HOLDER, header=HOLDER.header("mapping") | {1: b"\x27"})
    yield mapping("with alg as bytes", data, "RFC 9052 §3.1: alg is an integer or text", "Cose.NotSign1")
    fits = "RFC 9053 §2: alg fits kty"
    for named, other, signer in [(HOLDER, P256_HOLDER, "itself"), (HOLDER, P256_HOLDER, "the other")]:
        for key, wrong, credential in [(named, other, "EdDSA"), (other, named, "ES256")]:
            by = key if signer == "itself" else wrong
            data = signed("mapping", payload, by, header=key.header("mapping") | {1: wrong.alg})
            algorithm = {-8: "EdDSA", -7: "ES256"}[wrong.alg]
            yield vector(f"with alg {algorithm} and the kid of a key for {credential}, signed by {signer}", "mapping", data, fits, "Cose.WrongAlgorithm", credential)


def signatures():
    payload = cbor(mapping_fields())
    for key, credential in [(HOLDER, "EdDSA"), (P256_HOLDER, "ES256")]:
        case = lambda name, rule, **how: vector(
            f"by {credential}, {name}", "mapping", signed("mapping", payload, key, **how), rule, "Cose.BadSignature", credential
        )
        verifies = "RFC 9052 §4.4"
        yield case("of zeros", verifies, sign=lambda _: bytes(64))
        yield case("empty", verifies, sign=lambda _: b"")
        yield case("cut short", verifies, sign=lambda message: key.sign(message)[:63])
        yield case("with a byte more", verifies, sign=lambda message: key.sign(message) + b"\0")
        yield case("with a changed bit", verifies, sign=lambda message: flipped(key.sign(message)))
        yield case("without external AAD", "RFC 9052 §4.3: external AAD \"sotto v1\"", aad=b"")
        yield case("with external AAD of another version", "RFC 9052 §4.3: external AAD \"sotto v1\"", aad=b"sotto v2")
        yield case("over the payload alone", verifies, sign=lambda _: key.sign(payload))
        context = lambda message: b"\x84\x69Signature" + message[12:]
        yield case("in the context of a COSE_Sign", verifies, sign=lambda message: key.sign(context(message)))
        yield case("by another key under its kid", verifies, sign=(STRANGER if key is HOLDER else CSIP).sign)
    order = Edwards25519.order
    yield mapping("by EdDSA, with s + L", signed("mapping", payload, HOLDER, sign=lambda message: (
        lambda found: found[:32] + (int.from_bytes(found[32:], "little") + order).to_bytes(32, "little")
    )(HOLDER.sign(message))), "RFC 8032 §5.1.7: s < L", "Cose.BadSignature")
    es256 = lambda name, rule, sign: vector(f"by ES256, {name}", "mapping", signed("mapping", payload, P256_HOLDER, sign=sign), rule, "Cose.BadSignature", "ES256")
    yield es256("with n - s", "profile: s ≤ n/2", lambda message: (
        lambda found: found[:32] + (P256_ORDER - int.from_bytes(found[32:])).to_bytes(32)
    )(P256_HOLDER.sign(message)))
    yield es256("in DER", "RFC 9053 §2.1: r and s of 32 bytes each", P256_HOLDER.sign_der)
    yield es256("with r = 0", "FIPS 186-5 §6.4.2: 0 < r, s < n", lambda message: bytes(32) + P256_HOLDER.sign(message)[32:])
    yield es256("with s = 0", "FIPS 186-5 §6.4.2: 0 < r, s < n", lambda message: P256_HOLDER.sign(message)[:32] + bytes(32))


def payloads():
    """CBOR within the payload."""
    case = lambda name, payload, error, rule=DETERMINISTIC: mapping(name, signed("mapping", payload, HOLDER), rule, error)
    fields = mapping_fields()
    good = cbor(fields)
    pairs = [cbor(key) + cbor(value) for key, value in fields.items()]
    assert good == b"\xaa" + b"".join(pairs)
    with_seq = lambda seq: b"\xaa" + b"".join(pairs[:2]) + b"\x03" + seq + b"".join(pairs[3:])
    yield case("with an empty payload", b"", "Fields.Truncated", "RFC 8949 §5.3.1")
    yield case("with a byte after the payload", good + b"\0", "Fields.TrailingBytes", "RFC 8949 §5.1: one item")
    yield case("with a payload cut short", good[:-1], "Fields.Truncated", "RFC 8949 §5.3.1")
    yield case("with fields out of order", b"\xaa" + pairs[1] + pairs[0] + b"".join(pairs[2:]), "Fields.NotDeterministic")
    yield case("with a field twice", b"\xab" + pairs[0] + b"".join(pairs), "Fields.DuplicateKey", "RFC 8949 §5.6")
    yield case("with a payload of indefinite length", b"\xbf" + b"".join(pairs) + b"\xff", "Fields.IndefiniteLength")
    yield case("with entries of indefinite length", b"\xaa" + b"".join(pairs[:9]) + b"\x0a\x9f" + pairs[9][2:] + b"\xff", "Fields.IndefiniteLength")
    yield case("with a subject in chunks", b"\xaa\x01\x7f" + pairs[0][1:] + b"\xff" + b"".join(pairs[1:]), "Fields.IndefiniteLength")
    for name, seq in [("one byte", b"\x18\x07"), ("two bytes", b"\x19\0\x07"), ("four bytes", b"\x1a\0\0\0\x07"), ("eight bytes", b"\x1b" + bytes(7) + b"\x07")]:
        yield case(f"with a seq below 24 in {name}", with_seq(seq), "Fields.NotDeterministic")
    for name, seq in [("half", b"\xf9\x47\0"), ("single", b"\xfa\x40\xe0\0\0"), ("double", b"\xfb\x40\x1c" + bytes(6)), ("NaN", b"\xf9\x7e\0"),
                      ("bignum", b"\xc2\x41\x07"), ("null", b"\xf6"), ("undefined", b"\xf7"), ("simple(16)", b"\xf0"), ("simple(255)", b"\xf8\xff")]:
        yield case(f"with a seq as {name}", with_seq(seq), "Fields.UnsupportedType", PLAIN)
    yield case("with a reserved head", with_seq(b"\x1c"), "Fields.Malformed", "RFC 8949 §3: 28 to 30 are reserved")
    yield case("with a break", with_seq(b"\xff"), "Fields.IndefiniteLength", "RFC 8949 §3.2.1")
    yield case("with text that is not UTF-8", b"\xaa\x01\x62\xc3\x28" + b"".join(pairs[1:]), "Fields.Malformed", "RFC 8949 §5.3.1")
    yield case("with a byte string longer than the input", with_seq(b"\x5b\x7f" + b"\xff" * 7), "Fields.Truncated", "RFC 8949 §5.3.1")
    yield case("with an array longer than the input", with_seq(b"\x9b" + b"\xff" * 8), "Fields.Truncated", "RFC 8949 §5.3.1")
    yield case("with arrays nested nine deep", b"\x81" * 9 + b"\0", "Fields.TooDeep", "profile: nested at most 8 deep")
    yield case("with an array as payload", cbor([fields]), "Fields.WrongType", "profile: a map")


def every_kind():
    """Rules of form that hold for every kind alike, on the others."""
    kinds = {
        "credential": (CSIP, credential_claims(), "Cose"),
        "removal": (HOLDER, removal_fields(), "Cose"),
        "release": (CSIP, release_fields(), "Cose"),
    }
    for kind, (key, fields, outer) in kinds.items():
        payload = cbor(fields)
        good = key.sign1(kind, payload)
        case = lambda name, data, rule, error: vector(name, kind, data, rule, f"{outer}.{error}")
        yield case("tagged as COSE_Sign1", b"\xd2" + good, "profile: untagged", "Cbor.UnsupportedType")
        yield case("with a byte more", good + b"\0", "RFC 8949 §5.1: one item", "Cbor.TrailingBytes")
        yield case("as a mapping", key.sign1("mapping", payload), "profile: content type of the kind", "WrongContentType")
        yield case("with a changed bit", signed(kind, payload, key, sign=lambda message: flipped(key.sign(message))), "RFC 9052 §4.4", "BadSignature")
        yield case("of another version", signed(kind, payload, key, aad=b"sotto v2"), "RFC 9052 §4.3: external AAD \"sotto v1\"", "BadSignature")
    tagged = b"\xd8\x3d\xd2" + CSIP.sign1("credential", cbor(credential_claims()))
    yield vector("tagged as CWT", "credential", tagged, "profile: untagged", "Cose.Cbor.UnsupportedType")


def flipped(signature):
    return signature[:10] + bytes([signature[10] ^ 1]) + signature[11:]
