"""Checks the vectors against docs/objects.cddl: valid objects fit it, and of the
invalid ones only those do whose rule CDDL can't state.

Needs the package cddl-verifier (`pip install cddl-verifier`); run as
`python3 -B check_cddl.py`.
"""

import json
from pathlib import Path

from cddl_verifier import Validator

HERE = Path(__file__).parent
SCHEMA = Validator(HERE / "../../../docs/objects.cddl")

# Last words of errors that CDDL can't foresee: encoding and length as a whole,
# keys, signatures and trust, order, spelling, and rules between fields.
BEYOND = {
    "NotDeterministic", "IndefiniteLength", "TooLarge",
    "BadSignature", "Signature", "WrongAlgorithm", "WrongKey", "ForeignKey", "WeakKey", "InvalidElement",
    "UnknownIssuer", "UnknownKey", "OutOfScope", "NotYetValid", "Expired",
    "MappingOrder", "DuplicateMapping", "TagOrder", "TagText", "DuplicateEntry", "SeveralDefaults", "Msp",
    "NotCanonical", "Domain", "LocalPart", "TooLong", "ImpossibleNumber", "UnknownCountryCode",
    "SubjectMismatch", "AssignmentMismatch", "Validity", "Lifetime", "Chain", "Groups", "Snapshot",
}


def fits(kind, text):
    return SCHEMA.validate(bytes.fromhex(text), root_type=kind)


def valid():
    objects = json.loads((HERE / "objects.json").read_text())
    yield "credential", objects["credential"]["hex"]
    for kind in ["mapping", "removal", "release", "bundle"]:
        for vector in objects[kind + "s"]:
            yield kind, vector["hex"]
    by_algorithm = objects["by_algorithm"]
    for vectors in by_algorithm["sets"]:
        for kind in ["credential", "mapping", "removal", "release"]:
            yield kind, vectors[kind]["hex"]
    for key in [*by_algorithm["csips"].values(), *by_algorithm["holders"].values()]:
        yield "cose-key", key["cose_key"]
    yield "manifest", json.loads((HERE / "invalid.json").read_text())["manifest"]


def main():
    accepted = 0
    for kind, text in valid():
        result = fits(kind, text)
        assert result.valid, (kind, text, result.diagnostics)
        accepted += 1
    refused, beyond = 0, 0
    for vector in json.loads((HERE / "invalid.json").read_text())["invalid"]:
        if not fits(vector["kind"], vector["hex"]).valid:
            refused += 1
        else:
            assert vector["error"].split(".")[-1] in BEYOND, vector["name"]
            beyond += 1
    for vector in json.loads((HERE / "signatures.json").read_text())["keys"]:
        expected = vector["error"] in (None, "WeakKey")
        assert fits("cose-key", vector["cose_key"]).valid == expected, vector["name"]
    print(f"{accepted} valid objects fit; of the invalid ones {refused} don't and {beyond} can't be told")


if __name__ == "__main__":
    main()
