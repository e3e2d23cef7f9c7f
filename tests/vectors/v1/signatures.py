"""Writes signatures.json: keys and signatures at the edges of what is accepted.

Needs the packages cbor2 and cryptography (`pip install cbor2 cryptography`);
run as `python3 -B signatures.py > signatures.json`.
"""

import hashlib
import json

from cose import Ed25519Key, P256Key, cbor
from cryptography.hazmat.primitives import hashes
from curves import Edwards25519 as E
from curves import P256 as W

MESSAGE = b"message"


def okp(x, **other):
    return {1: 1, -1: 6, -2: x} | other


def ec2(x, y):
    return {1: 2, -1: 1, -2: x, -3: y}


def ec2_point(point):
    return ec2(*(coordinate.to_bytes(32) for coordinate in point))


def keys():
    """COSE_Keys, and the error that each is refused with, if any."""
    weak, malformed = "WeakKey", "MalformedKey"
    x25519 = Ed25519Key(1).x
    mixed = E.encode(E.add(E.multiply(3, E.base()), E.torsion()))
    torsion = [E.encode(E.multiply(n, E.torsion())) for n in range(8)]
    yield "ed25519", okp(x25519), None, "RFC 9053 §7.2"
    yield "ed25519 of mixed order", okp(mixed), None, "profile: only keys of small order are weak"
    for n, encoded in enumerate(torsion):
        yield f"ed25519 of small order, {n} times a point of order 8", okp(encoded), weak, "profile: no key of small order"
    not_canonical = [n for n in range(19) if E.with_y(n)]
    for n in not_canonical:
        encoded = (E.p + n).to_bytes(32, "little")
        yield f"ed25519 with y = p + {n}", okp(encoded), weak, "RFC 8032 §5.1.3: y < p"
    encoded = (1 | 1 << 255).to_bytes(32, "little")
    yield "ed25519 with x = -0", okp(encoded), weak, "RFC 8032 §5.1.3: no negative zero"
    n = next(n for n in range(2, 99) if not E.with_y(n))
    yield f"ed25519 with y = {n} off the curve", okp(n.to_bytes(32, "little")), weak, "RFC 8032 §5.1.3"
    yield "ed25519 of 31 bytes", okp(x25519[:31]), malformed, "RFC 8032 §5.1.5: 32 bytes"
    yield "ed25519 of 33 bytes", okp(x25519 + b"\0"), malformed, "RFC 8032 §5.1.5: 32 bytes"
    yield "ed25519 with x as text", {1: 1, -1: 6, -2: "x" * 32}, malformed, "RFC 9053 §7.2: x is a byte string"
    yield "ed25519 without x", {1: 1, -1: 6}, malformed, "RFC 9053 §7.2"
    yield "ed25519 without crv", {1: 1, -2: x25519}, malformed, "RFC 9053 §7.2"
    yield "ed25519 without kty", {-1: 6, -2: x25519}, malformed, "RFC 9052 §7.1"
    for crv, name in [(1, "P-256"), (4, "X25519"), (5, "X448"), (7, "Ed448")]:
        yield f"ed25519 named {name}", {1: 1, -1: crv, -2: x25519}, malformed, "profile: crv 6 with kty 1"
    yield "ed25519 with a y", okp(x25519) | {-3: x25519}, malformed, "profile: no other parameters"
    yield "ed25519 with its secret", okp(x25519) | {-4: b"\1" * 32}, malformed, "profile: no other parameters"

    good = P256Key(1)
    x, y = good.cose[-2], good.cose[-3]
    yield "p256", ec2(x, y), None, "RFC 9053 §7.1.1"
    other_y = (W.p - int.from_bytes(y)).to_bytes(32)
    yield "p256 with the other y", ec2(x, other_y), None, "RFC 9053 §7.1.1"
    yield "p256 with x and y swapped", ec2(y, x), weak, "SP 800-186: on the curve"
    off = (int.from_bytes(y) ^ 1).to_bytes(32)
    yield "p256 off the curve", ec2(x, off), weak, "SP 800-186: on the curve"
    yield "p256 of zeros", ec2(bytes(32), bytes(32)), weak, "SP 800-186: not the identity"
    low = W.first_from(0)
    large_x = (low[0] + W.p).to_bytes(32)
    yield "p256 with a small x", ec2_point(low), None, "RFC 9053 §7.1.1"
    yield "p256 with x + p", ec2(large_x, low[1].to_bytes(32)), weak, "SEC 1 §2.3.6: x < p"
    yield "p256 with x = p", ec2(W.p.to_bytes(32), y), weak, "SEC 1 §2.3.6: x < p"
    yield "p256 with y = p", ec2(x, W.p.to_bytes(32)), weak, "SEC 1 §2.3.6: y < p"
    yield "p256 with y of all ones", ec2(x, b"\xff" * 32), weak, "SEC 1 §2.3.6: y < p"
    yield "p256 with x of 31 bytes", ec2(x[:31], y), malformed, "RFC 9053 §7.1.1: no octets are left out"
    yield "p256 with x of 33 bytes", ec2(b"\0" + x, y), malformed, "RFC 9053 §7.1.1: 32 octets"
    yield "p256 with y of 31 bytes", ec2(x, y[:31]), malformed, "RFC 9053 §7.1.1: no octets are left out"
    for sign in [False, True]:
        yield f"p256 with y {str(sign).lower()}", ec2(x, sign), malformed, "profile: y is a byte string"
    yield "p256 without y", {1: 2, -1: 1, -2: x}, malformed, "RFC 9053 §7.1.1"
    yield "p256 without x", {1: 2, -1: 1, -3: y}, malformed, "RFC 9053 §7.1.1"
    yield "p256 without crv", {1: 2, -2: x, -3: y}, malformed, "RFC 9053 §7.1.1"
    for crv, name in [(2, "P-384"), (3, "P-521"), (6, "Ed25519"), (8, "secp256k1")]:
        yield f"p256 named {name}", ec2(x, y) | {-1: crv}, malformed, "profile: crv 1 with kty 2"
    for kty, name in [(1, "OKP"), (3, "RSA"), (4, "a symmetric key"), ("EC2", "text")]:
        yield f"p256 named {name}", ec2(x, y) | {1: kty}, malformed, "RFC 9053 §7: kty fits the parameters"
    yield "ed25519 named EC2", okp(x25519) | {1: 2}, malformed, "RFC 9053 §7: kty fits the parameters"
    extra = {2: b"kid", 3: -7, 4: [2], 5: b"iv"}
    for label, value in extra.items():
        yield f"p256 with parameter {label}", ec2(x, y) | {label: value}, malformed, "profile: no other parameters"
    yield "p256 with its secret", ec2(x, y) | {-4: b"\1" * 32}, malformed, "profile: no other parameters"


def ed25519_signatures():
    """(name, key, message, signature, whether valid, rule)."""
    key = Ed25519Key(1)
    good = key.sign(MESSAGE)
    r, s = good[:32], int.from_bytes(good[32:], "little")
    scalar = lambda n: n.to_bytes(32, "little")
    strict = "RFC 8032 §5.1.7"
    yield "ed25519", key.cose, MESSAGE, good, True, strict
    yield "ed25519 of another message", key.cose, MESSAGE + b"!", good, False, strict
    yield "ed25519 by another key", key.cose, MESSAGE, Ed25519Key(2).sign(MESSAGE), False, strict
    for n in [1, 2, 8]:
        yield f"ed25519 with s + {n} L", key.cose, MESSAGE, r + scalar(s + n * E.order), False, "RFC 8032 §5.1.7: s < L"
    yield "ed25519 with s = L", key.cose, MESSAGE, r + scalar(E.order), False, "RFC 8032 §5.1.7: s < L"
    yield "ed25519 with s of all ones", key.cose, MESSAGE, r + b"\xff" * 32, False, "RFC 8032 §5.1.7: s < L"
    yield "ed25519 with s = 0", key.cose, MESSAGE, r + scalar(0), False, strict
    yield "ed25519 with -s", key.cose, MESSAGE, r + scalar(E.order - s), False, strict
    yield "ed25519 with -R", key.cose, MESSAGE, r[:31] + bytes([r[31] ^ 0x80]) + good[32:], False, strict
    yield "ed25519 with R and s swapped", key.cose, MESSAGE, good[32:] + r, False, strict
    yield "ed25519 of zeros", key.cose, MESSAGE, bytes(64), False, strict
    for length in [0, 32, 63]:
        yield f"ed25519 cut to {length} bytes", key.cose, MESSAGE, good[:length], False, "RFC 8032 §5.1.6: 64 bytes"
    yield "ed25519 with a byte more", key.cose, MESSAGE, good + b"\0", False, "RFC 8032 §5.1.6: 64 bytes"

    secret = int.from_bytes(hashlib.sha512(key.seed).digest()[:32], "little")
    secret = secret & (2**254 - 8) | 2**254
    public = E.multiply(secret, E.base())
    assert E.encode(public) == key.x
    forge = lambda nonce, encoded, message=MESSAGE, a=key.x: encoded + scalar(
        (nonce + E.challenge(encoded, a, message) * secret) % E.order
    )
    nonce = 12345
    honest = E.multiply(nonce, E.base())
    yield "ed25519 by any nonce", key.cose, MESSAGE, forge(nonce, E.encode(honest)), True, strict
    small = "profile: R is not of small order"
    for n in range(8):
        encoded = E.encode(E.multiply(n, E.torsion()))
        yield f"ed25519 with R of small order, {n} times a point of order 8", key.cose, MESSAGE, forge(0, encoded), False, small
    encoded = (E.p + 1).to_bytes(32, "little")
    yield "ed25519 with R = identity with y = p + 1", key.cose, MESSAGE, forge(0, encoded), False, "RFC 8032 §5.1.3: y < p"
    encoded = (1 | 1 << 255).to_bytes(32, "little")
    yield "ed25519 with R = identity with x = -0", key.cose, MESSAGE, forge(0, encoded), False, "RFC 8032 §5.1.3: no negative zero"
    for n in [1, 4]:
        mixed = E.encode(E.add(honest, E.multiply(n, E.torsion())))
        yield f"ed25519 with R of mixed order, {n} times a point of order 8", key.cose, MESSAGE, forge(nonce, mixed), False, "profile: the equation without the cofactor"
    key_point = E.add(public, E.torsion())
    a = E.encode(key_point)
    encoded = E.encode(honest)
    for wanted, valid in [(0, True), (1, False), (4, False)]:
        # The equation without the cofactor holds if the challenge cancels the
        # torsion; with it, it always would.
        tries = (b"message %d" % n for n in range(1000))
        message = next(m for m in tries if E.challenge(encoded, a, m) % 8 == wanted)
        yield f"ed25519 by a key of mixed order, challenge = {wanted} mod 8", okp(a), message, forge(nonce, encoded, message, a), valid, "profile: the equation without the cofactor"

    for name, prefix, prehash in [("Ed25519ctx", 0, lambda m: m), ("Ed25519ph", 1, lambda m: hashlib.sha512(m).digest())]:
        domain = b"SigEd25519 no Ed25519 collisions" + bytes([prefix, 0])
        digest = hashlib.sha512(domain + encoded + key.x + prehash(MESSAGE)).digest()
        challenge = int.from_bytes(digest, "little") % E.order
        signature = encoded + scalar((nonce + challenge * secret) % E.order)
        yield f"ed25519 made as {name}", key.cose, MESSAGE, signature, False, "RFC 9053 §2.2: pure EdDSA"
    yield "an ES256 signature under ed25519", key.cose, MESSAGE, P256Key(1).sign(MESSAGE), False, strict


def p256_signatures():
    """(name, key, message, signature, whether valid, rule)."""
    key, n = P256Key(1), W.order
    good = key.sign(MESSAGE)
    r, s = int.from_bytes(good[:32]), int.from_bytes(good[32:])
    pair = lambda r, s: r.to_bytes(32) + s.to_bytes(32)
    case = lambda name, signature, rule, valid=False: (name, key.cose, MESSAGE, signature, valid, rule)
    bounds, equation = "FIPS 186-5 §6.4.2: 0 < r, s < n", "FIPS 186-5 §6.4.2"
    length, low = "RFC 9053 §2.1: r and s of 32 bytes each", "profile: s ≤ n/2"
    yield case("p256", good, equation, True)
    yield "p256 of another message", key.cose, MESSAGE + b"!", good, False, equation
    yield case("p256 by another key", P256Key(2).sign(MESSAGE), equation)
    yield case("p256 with n - s", pair(r, n - s), low)
    for name, value in [("0", 0), ("n", n), ("n + 1", n + 1), ("p", W.p), ("all ones", 2**256 - 1)]:
        yield case(f"p256 with r = {name}", pair(value, s), bounds)
        yield case(f"p256 with s = {name}", pair(r, value), bounds)
    yield case("p256 with r = s = 0", pair(0, 0), bounds)
    yield case("p256 with r = s = n", pair(n, n), bounds)
    yield case("p256 with r = s = 1", pair(1, 1), equation)
    yield case("p256 with r = n - 1", pair(n - 1, s), equation)
    yield case("p256 with -r", pair(n - r, s), equation)
    yield case("p256 with r and s swapped", pair(s, r) if r <= n // 2 else pair(s, n - r), equation)
    der = key.sign_der(MESSAGE)
    yield case("p256 in DER", der, length)
    integer = lambda value: b"\2\x20" + value.to_bytes(32)
    yield case("p256 in DER cut to 64 bytes", (b"\x30\x44" + integer(r) + integer(s))[:64], length)
    for size in [0, 32, 63]:
        yield case(f"p256 cut to {size} bytes", good[:size], length)
    yield case("p256 with a byte more", good + b"\0", length)
    yield case("p256 with a byte before", b"\0" + good, length)
    yield case("p256 with 33 bytes each", r.to_bytes(33) + s.to_bytes(33), length)
    yield case("p256 with 48 bytes each", r.to_bytes(48) + s.to_bytes(48), length)
    yield case("p256 least significant byte first", r.to_bytes(32, "little") + s.to_bytes(32, "little"), equation)
    for digest in [hashes.SHA224(), hashes.SHA384(), hashes.SHA512(), hashes.SHA3_256()]:
        yield case(f"p256 over {digest.name}", key.sign(MESSAGE, digest), "RFC 9053 §2.1: SHA-256")
    twice = key.sign(hashlib.sha256(MESSAGE).digest())
    yield case("p256 over a digest of the digest", twice, "RFC 9053 §2.1: SHA-256 once")
    yield case("an Ed25519 signature under p256", Ed25519Key(1).sign(MESSAGE), equation)

    # Signatures with chosen r, under the key that makes them valid.
    def forged(name, point, r, s, valid, rule, shown=None):
        public = ec2_point(W.key_for(point, r, s, MESSAGE))
        return name, public, MESSAGE, shown or pair(r, s), valid, rule

    small = W.first_from(1)
    yield forged("p256 with a small r", small, small[0], 7, True, equation)
    yield forged("p256 with a small r, plus n", small, small[0], 7, False, bounds, pair(small[0] + n, 7))
    above = W.first_from(n + 1)
    yield forged("p256 with a nonce point of x ≥ n", above, above[0] - n, 7, True, "FIPS 186-5 §6.4.2: r = x mod n")
    half = n // 2
    yield forged("p256 with s = (n - 1) / 2", small, small[0], half, True, low)
    yield forged("p256 with s = (n + 1) / 2", small, small[0], half + 1, False, low)
    yield forged("p256 with s = n - 1", small, small[0], n - 1, False, low)
    yield forged("p256 with s = 1", small, small[0], 1, True, equation)

    z = W.digest(MESSAGE)
    r = W.multiply(777, W.base)[0] % n
    sum_to_identity = W.multiply(-z * pow(r, -1, n), W.base)
    yield "p256 whose sum of points is the identity", ec2_point(sum_to_identity), MESSAGE, pair(r, 7), False, "FIPS 186-5 §6.4.2: not the identity"
    # Both summands equal: z/s·G = r/s·Q, so that 777 = 2z/s.
    s = 2 * z * pow(777, -1, n) % n
    equal = W.multiply(z * pow(r, -1, n), W.base)
    yield "p256 whose summands are equal", ec2_point(equal), MESSAGE, pair(r, min(s, n - s)), True, equation


def main():
    described = lambda value: cbor(value).hex()
    vectors = {
        "keys": [
            {"name": name, "cose_key": described(key), "rule": rule, "error": error}
            for name, key, error, rule in keys()
        ],
        "signatures": [
            {
                "name": name,
                "cose_key": described(key),
                "message": message.hex(),
                "signature": signature.hex(),
                "rule": rule,
                "valid": valid,
            }
            for cases in [ed25519_signatures(), p256_signatures()]
            for name, key, message, signature, valid, rule in cases
        ],
    }
    print(json.dumps(vectors, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
