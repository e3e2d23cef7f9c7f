"""Writes objects.json: the signed objects, made without the Rust code.

Needs the packages cbor2 and cryptography (`pip install cbor2 cryptography`);
run as `python3 -B objects.py > objects.json`.
"""

import hashlib
import json

from cose import cbor, seconds
from parties import (
    BEGIN, CSIP, END, HOLDER, ISSUER, MONTH, NOW, P256_CSIP, P256_HOLDER, SUBJECT, credential_claims,
)

SCOPES = ["mailto:*@example.com", "tel:+44"]


def trust(*keys):
    lines = []
    for key in keys:
        lines += [
            "[[csip]]",
            f'issuer = "{ISSUER}"',
            f'key = "{key.text()}"',
            f"scopes = {json.dumps(SCOPES[::-1])}",
            f'not_after = "{END}"',
        ]
    # Keys sort by id, scopes by kind (any phone, prefix, any mail, domain), then
    # by text.
    ordered = sorted(keys, key=lambda key: key.id)
    entries = [[ISSUER, key.cose, SCOPES[::-1], [], [seconds(END)]] for key in ordered]
    return "\n".join(lines) + "\n", hashlib.sha3_256(cbor(entries)).hexdigest()


def credential(csip=CSIP, holder=HOLDER):
    return csip.sign1("credential", cbor(credential_claims(holder)))


def described_credential(csip=CSIP, holder=HOLDER):
    return {
        "issuer": ISSUER,
        "subject": SUBJECT,
        "issued_at": BEGIN,
        "expires": END,
        "assignment": 2,
        "hex": credential(csip, holder).hex(),
    }


def mapping(name, number, seq, entries, replaces_all=False, exclusive=False, same_app_only=False, holder=HOLDER):
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
    return fields | {"hex": holder.sign1("mapping", cbor(payload)).hex()}


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


def removal(number, seq, holder=HOLDER):
    payload = {1: SUBJECT, 3: seq, 4: seconds(NOW), 5: 2}
    if number is not None:
        payload[2] = bytes([number] * 16)
    return {
        "subject": SUBJECT,
        "mapping_id": None if number is None else bytes([number] * 16).hex(),
        "seq": seq,
        "issued_at": NOW,
        "assignment": 2,
        "hex": holder.sign1("removal", cbor(payload)).hex(),
    }


def release(number, reason, csip=CSIP):
    payload = {1: ISSUER, 2: SUBJECT, 3: 2, 4: seconds(NOW), 5: number}
    return {
        "issuer": ISSUER,
        "subject": SUBJECT,
        "assignment": 2,
        "issued_at": NOW,
        "reason": reason,
        "hex": csip.sign1("release", cbor(payload)).hex(),
    }


def bundle(mappings, lookup):
    ordered = sorted(mappings, key=lambda mapping: (mapping["id"], mapping["seq"]))
    objects = [bytes.fromhex(mapping["hex"]) for mapping in ordered]
    return {
        "mappings": [mapping["name"] for mapping in mappings],
        "hex": cbor([1, credential(), objects]).hex(),
        "lookup": lookup,
    }


def by_algorithm():
    """Objects by, and for, keys of each algorithm."""
    trust_list, digest = trust(CSIP, P256_CSIP)
    sets = [
        ("EdDSA", CSIP, "ES256", P256_HOLDER),
        ("ES256", P256_CSIP, "EdDSA", HOLDER),
        ("ES256", P256_CSIP, "ES256", P256_HOLDER),
    ]
    entries = [("chat.example", [], 0, True)]
    return {
        "csips": {"EdDSA": CSIP.described(), "ES256": P256_CSIP.described()},
        "holders": {"EdDSA": HOLDER.described(), "ES256": P256_HOLDER.described()},
        "trust_list": trust_list,
        "trust_list_digest": digest,
        "sets": [
            {
                "csip": csip_algorithm,
                "holder": holder_algorithm,
                "credential": described_credential(csip, holder),
                "mapping": mapping("either", 1, 7, entries, holder=holder),
                "removal": removal(1, 8, holder),
                "release": release(2, "reassigned", csip),
            }
            for csip_algorithm, csip, holder_algorithm, holder in sets
        ],
    }


def main():
    personal = mapping("personal", 2, 7, [
        ("chat.example", ["personal", "family"], 0, True),
        ("messages.example", ["Basketball Friends"], 10, False),
    ])
    business = mapping("business", 1, 8, [("work.example", ["business"], 0, True)], exclusive=True, same_app_only=True)
    renewed = mapping("renewed", 2, 9, [("chat.example", [], 255, False)], replaces_all=True)
    opt_out = mapping("opt-out", 3, 10, [])
    trust_list, digest = trust(CSIP)
    listed = lambda *mappings: {"outcome": "mappings", "detail": [shown(mapping) for mapping in mappings]}
    vectors = {
        "csip": CSIP.described(),
        "holder": HOLDER.described(),
        "now": NOW,
        "trust_list": trust_list,
        "trust_list_digest": digest,
        "credential": described_credential(),
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
        "by_algorithm": by_algorithm(),
    }
    print(json.dumps(vectors, indent=2))


if __name__ == "__main__":
    main()
