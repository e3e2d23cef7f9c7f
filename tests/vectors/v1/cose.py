"""Keys and signed objects, made without the Rust code.

Needs the packages cbor2 and cryptography (`pip install cbor2 cryptography`).
"""

import base64
import datetime
import hashlib

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

AAD = b"sotto v1"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def cbor(value):
    """Deterministically encoded, with map keys in bytewise order (RFC 8949 §4.2.1):
    what cbor2 calls canonical sorts them by length first."""
    return cbor2.dumps(ordered(value))


def ordered(value):
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value, key=cbor2.dumps)}
    if isinstance(value, list):
        return [ordered(item) for item in value]
    return value


def seconds(text):
    return int(datetime.datetime.fromisoformat(text).timestamp())


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def to_be_signed(protected, payload, aad=AAD):
    """The Sig_structure of RFC 9052 §4.4."""
    return cbor(["Signature1", protected, aad, payload])


class Key:
    """What both kinds of keys do with `alg`, `cose` and `sign`."""

    def __init__(self, secret, cose):
        self.secret = secret
        self.cose = cose
        self.id = hashlib.sha256(cbor(cose)).digest()

    def described(self):
        return {
            "pkcs8": self.secret.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()).hex(),
            "text": self.text(),
            "cose_key": cbor(self.cose).hex(),
            "key_id": self.id.hex(),
        }

    def header(self, kind):
        return {1: self.alg, 3: f"application/sotto-{kind}+cbor", 4: self.id}

    def sign1(self, kind, payload):
        protected = cbor(self.header(kind))
        return cbor([protected, {}, payload, self.sign(to_be_signed(protected, payload))])


class Ed25519Key(Key):
    alg = -8

    def __init__(self, byte):
        self.seed = bytes([byte]) * 32
        secret = Ed25519PrivateKey.from_private_bytes(self.seed)
        self.x = secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        super().__init__(secret, {1: 1, -1: 6, -2: self.x})

    def described(self):
        return {"seed": self.seed.hex()} | super().described()

    def text(self):
        return "ed25519:" + base64url(self.x)

    def sign(self, message):
        return self.secret.sign(message)


class P256Key(Key):
    alg = -7

    def __init__(self, byte):
        secret = ec.derive_private_key(int.from_bytes(bytes([byte]) * 32), ec.SECP256R1())
        point = secret.public_key().public_numbers()
        super().__init__(secret, {1: 2, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)})

    def text(self):
        return "es256:" + base64url(
            self.secret.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        )

    def sign_der(self, message, digest=None):
        return self.secret.sign(message, ec.ECDSA(digest or hashes.SHA256(), deterministic_signing=True))

    def sign(self, message, digest=None):
        """RFC 6979, with the smaller s."""
        r, s = decode_dss_signature(self.sign_der(message, digest))
        return r.to_bytes(32) + min(s, P256_ORDER - s).to_bytes(32)
