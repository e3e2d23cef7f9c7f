"""Writes objects.json: the signed objects, made without the Rust code.

Needs the packages cbor2 and cryptography; run as
`python3 objects.py > objects.json`.
"""

import base64
import datetime
import hashlib
import json

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def cbor(value):
    # Length-first and bytewise key order agree for the keys used here.
    return cbor2.dumps(value, canonical=True)


def seconds(text):
    return int(datetime.datetime.fromisoformat(text).timestamp())


class Key:
    def __init__(self, byte):
        self.seed = bytes([byte]) * 32
        self.secret = Ed25519PrivateKey.from_private_bytes(self.seed)
        self.x = self.secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.cose = {1: 1, -1: 6, -2: self.x}
        self.id = hashlib.sha256(cbor(self.cose)).digest()

    def text(self):
        return "ed25519:" + base64.urlsafe_b64encode(self.x).decode().rstrip("=")

    def described(self):
        return {
            "seed": self.seed.hex(),
            "text": self.text(),
            "cose_key": cbor(self.cose).hex(),
            "key_id": self.id.hex(),
        }

    def sign1(self, kind, payload):
        protected = cbor({1: -8, 3: f"application/sotto-{kind}+cbor", 4: self.id})
        signed = cbor(["Signature1", protected, b"sotto v1", payload])
        return cbor([protected, {}, payload, self.secret.sign(signed)])


ASSIGNMENT = -65537
CSIP, HOLDER = Key(1), Key(2)
ISSUER, SUBJECT = "csip.example", "tel:+442079460000"
BEGIN, END, NOW = "2026-11-23T00:00:00Z", "2027-02-21T00:00:00Z", "2026-12-01T00:00:00Z"
MONTH = "2026-12-23T00:00:00Z"
SCOPES = ["mailto:*@example.com", "tel:+44"]


def trust():
    lines = [
        "[[csip]]",
        f'issuer = "{ISSUER}"',
        f'key = "{CSIP.text()}"',
        f"scopes = {json.dumps(SCOPES[::-1])}",
        f'not_after = "{END}"',
    ]
    # Scopes sort by kind (any phone, prefix, any mail, domain), then by text.
    entry = [ISSUER, CSIP.cose, SCOPES[::-1], [], [seconds(END)]]
    return "\n".join(lines) + "\n", hashlib.sha3_256(cbor([entry])).hexdigest()


def credential():
    claims = {1: ISSUER, 2: SUBJECT, 4: seconds(END), 6: seconds(BEGIN), 8: {1: HOLDER.cose}, ASSIGNMENT: 2}
    return CSIP.sign1("credential", cbor(claims))


def mapping(name, number, seq, entries, replaces_all=False, exclusive=False, same_app_only=False):
    fields = {
        "name": name,
        "subject": SUBJECT,
        "id": bytes([number] * 16).hex(),
        "seq": seq,
        "not_before": BEGIN,
        "expires": MONTH,
        "assignment": 2,
        "replaces_all": replaces_all,
        "exclusive": exclusive,
        "same_app_only": same_app_only,
        "entries": [dict(zip(("msp", "tags", "priority", "default"), entry)) for entry in entries],
    }
    encoded = [{1: msp, 2: sorted(tags), 3: priority, 4: default} for msp, tags, priority, default in entries]
    payload = {
        1: SUBJECT, 2: bytes([number] * 16), 3: seq, 4: seconds(BEGIN), 5: seconds(MONTH), 6: 2,
        7: replaces_all, 8: exclusive, 9: same_app_only, 10: encoded,
    }
    return fields | {"hex": HOLDER.sign1("mapping", cbor(payload)).hex()}


def shown(fields):
    """A mapping as a lookup shows it."""
    return {
        "id": fields["id"],
        "seq": fields["seq"],
        "not_before": fields["not_before"],
        "expires": fields["expires"],
        "assignment": fields["assignment"],
        "replaces": "all" if fields["replaces_all"] else "same-id",
        "policy": {
            "exclusivity": "exclusive" if fields["exclusive"] else "shared",
            "reach": "same-app-only" if fields["same_app_only"] else "any-app",
        },
        "entries": [
            {
                "msp": entry["msp"],
                "tags": sorted(entry["tags"]),
                "priority": entry["priority"],
                "preference": "default" if entry["default"] else "ordinary",
            }
            for entry in fields["entries"]
        ],
    }


def removal(number, seq):
    payload = {1: SUBJECT, 3: seq, 4: seconds(NOW), 5: 2}
    if number is not None:
        payload[2] = bytes([number] * 16)
    return {
        "subject": SUBJECT,
        "mapping_id": None if number is None else bytes([number] * 16).hex(),
        "seq": seq,
        "issued_at": NOW,
        "assignment": 2,
        "hex": HOLDER.sign1("removal", cbor(payload)).hex(),
    }


def release(number, reason):
    payload = {1: ISSUER, 2: SUBJECT, 3: 2, 4: seconds(NOW), 5: number}
    return {
        "issuer": ISSUER,
        "subject": SUBJECT,
        "assignment": 2,
        "issued_at": NOW,
        "reason": reason,
        "hex": CSIP.sign1("release", cbor(payload)).hex(),
    }


def bundle(mappings, lookup):
    ordered = sorted(mappings, key=lambda mapping: (mapping["id"], mapping["seq"]))
    objects = [bytes.fromhex(mapping["hex"]) for mapping in ordered]
    return {
        "mappings": [mapping["name"] for mapping in mappings],
        "hex": cbor([1, credential(), objects]).hex(),
        "lookup": lookup,
    }


def main():
    personal = mapping("personal", 2, 7, [
        ("chat.example", ["personal", "family"], 0, True),
        ("messages.example", ["Basketball Friends"], 10, False),
    ])
    business = mapping("business", 1, 8, [("work.example", ["business"], 0, True)], exclusive=True, same_app_only=True)
    renewed = mapping("renewed", 2, 9, [("chat.example", [], 255, False)], replaces_all=True)
    opt_out = mapping("opt-out", 3, 10, [])
    trust_list, digest = trust()
    listed = lambda *mappings: {"outcome": "mappings", "detail": [shown(mapping) for mapping in mappings]}
    vectors = {
        "csip": CSIP.described(),
        "holder": HOLDER.described(),
        "now": NOW,
        "trust_list": trust_list,
        "trust_list_digest": digest,
        "credential": {
            "issuer": ISSUER, "subject": SUBJECT, "issued_at": BEGIN, "expires": END, "assignment": 2,
            "hex": credential().hex(),
        },
        "mappings": [personal, business, renewed, opt_out],
        "removals": [removal(1, 8), removal(None, 11)],
        "releases": [
            release(number + 1, reason)
            for number, reason in enumerate(["given-up", "reassigned", "ported", "fraud"])
        ],
        "bundles": [
            bundle([], {"outcome": "no-mapping"}),
            bundle([personal], listed(personal)),
            bundle([personal, business], listed(business, personal)),
            bundle([personal, business, renewed], listed(renewed)),
            bundle([personal, business, opt_out], {"outcome": "opted-out"}),
        ],
    }
    print(json.dumps(vectors, indent=2))


main()
