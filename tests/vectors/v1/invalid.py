"""Writes invalid.json: objects that must be refused, and with which error.

Needs the packages cbor2 and cryptography (`pip install cbor2 cryptography`);
run as `python3 -B invalid.py > invalid.json`.
"""

import json

from cose import cbor
from parties import CSIP, HOLDER, NOW, P256_CSIP, P256_HOLDER, credential_claims
from refusals import bundles, credentials, forms, manifests, mappings, removals


def trust_list():
    lines = []
    for issuer, key, scopes, not_before, not_after in credentials.trusted():
        lines += ["[[csip]]", f'issuer = "{issuer}"', f'key = "{key.text()}"', f"scopes = {json.dumps(scopes)}"]
        lines += [f'{name} = "{time}"' for name, time in [("not_before", not_before), ("not_after", not_after)] if time]
    return "\n".join(lines) + "\n"


def main():
    kinds = [forms, credentials, mappings, removals, manifests, bundles]
    vectors = {
        "verify_at": NOW,
        "trust_list": trust_list(),
        "dp_key": manifests.DP.text(),
        "credentials": {
            "EdDSA": CSIP.sign1("credential", cbor(credential_claims(HOLDER))).hex(),
            "ES256": P256_CSIP.sign1("credential", cbor(credential_claims(P256_HOLDER))).hex(),
        },
        "manifest": manifests.valid().hex(),
        "invalid": [vector for kind in kinds for vector in kind.vectors()],
    }
    print(json.dumps(vectors, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
