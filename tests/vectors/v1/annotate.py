"""Writes a vector as the annotated listings of docs/objects.md have it.

Needs nothing but Python; run as
`python3 -B annotate.py objects.json /credential/hex`.
"""

import datetime
import json
import sys
from pathlib import Path

WIDTH = 42

COSE_KEY = {1: "kty", -1: "crv", -2: "x", -3: "y"}
PROTECTED = {1: "alg", 3: "content type", 4: "kid"}
ENTRY = {1: "MSP", 2: "tags", 3: "priority", 4: "default"}
FIELDS = {
    "credential": {
        1: "iss", 2: "sub", 4: "exp", 6: "iat",
        8: ("cnf", {1: ("COSE_Key", COSE_KEY)}), -65537: "assignment",
    },
    "mapping": {
        1: "subject", 2: "id", 3: "seq", 4: "not before", 5: "expires", 6: "assignment",
        7: "replaces all", 8: "exclusive", 9: "same app only", 10: ("entries", ENTRY),
    },
    "removal": {1: "subject", 2: "mapping id", 3: "seq", 4: "issued at", 5: "assignment"},
    "release": {1: "issuer", 2: "subject", 3: "assignment", 4: "issued at", 5: "reason"},
}
TIMES = {"exp", "iat", "not before", "expires", "issued at"}
MEANINGS = {
    ("alg", -8): "EdDSA", ("alg", -7): "ES256",
    ("kty", 1): "OKP", ("kty", 2): "EC2", ("crv", 6): "Ed25519", ("crv", 1): "P-256",
    ("reason", 1): "given up", ("reason", 2): "reassigned", ("reason", 3): "ported", ("reason", 4): "fraud",
}


class Listing:
    def __init__(self, data):
        self.data, self.at, self.lines = data, 0, []

    def write(self, depth, code, note):
        indent = "  " * depth
        self.lines.append(f"{indent}{code}".ljust(WIDTH) + f" # {indent}{note}")

    def head(self):
        """(major type, argument, encoded head)."""
        first, start = self.data[self.at], self.at
        self.at += 1
        argument = first & 31
        if argument > 23:
            length = 1 << (argument - 24)
            argument = int.from_bytes(self.data[self.at : self.at + length], "big")
            self.at += length
        return first >> 5, argument, self.data[start : self.at].hex()

    def item(self, depth, name, fields, before=""):
        """Writes the next item, with its key's encoding before it."""
        major, argument, code = self.head()
        label = f"{name}: " if name else ""
        code = f"{before} {code}".strip()
        if major in (0, 1):
            value = argument if major == 0 else -1 - argument
            shown = str(value)
            if name in TIMES:
                shown += f", {datetime.datetime.fromtimestamp(value, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
            elif (name, value) in MEANINGS:
                shown += f", {MEANINGS[name, value]}"
            self.write(depth, code, label + shown)
        elif major == 2:
            self.write(depth, code, f"{label}{argument} bytes")
            self.string(depth + 1, argument, None)
        elif major == 3:
            text = self.data[self.at : self.at + argument].decode()
            self.write(depth, code, f'{label}"{text}"')
            self.string(depth + 1, argument, text)
        elif major == 4:
            self.write(depth, code, f"{label}array of {argument}")
            for _ in range(argument):
                self.item(depth + 1, "", fields)
        elif major == 5:
            self.map(depth, label, argument, code, fields)
        else:
            self.write(depth, code, label + {20: "false", 21: "true"}[argument])

    def map(self, depth, label, size, code, fields):
        self.write(depth, code, f"{label}map of {size}")
        for _ in range(size):
            major, argument, key = self.head()
            name = fields[argument if major == 0 else -1 - argument]
            name, inner = name if isinstance(name, tuple) else (name, {})
            self.item(depth + 1, name, inner, key)

    def string(self, depth, length, text):
        """The content of a string, 16 bytes a line."""
        end = self.at + length
        while self.at < end:
            chunk = self.data[self.at : min(self.at + 16, end)]
            self.lines.append("  " * depth + chunk.hex())
            self.at += len(chunk)

    def embedded(self, depth, name, fields):
        """A byte string that holds one item."""
        _, length, code = self.head()
        self.write(depth, code, f"{name}, {length} bytes")
        self.item(depth + 1, "", fields)

    def object(self):
        kind = next(kind for kind in FIELDS if f"application/sotto-{kind}+cbor".encode() in self.data)
        _, _, code = self.head()
        self.write(0, code, f"COSE_Sign1: {kind}")
        self.embedded(1, "protected header", PROTECTED)
        self.item(1, "unprotected header", {})
        self.embedded(1, "payload", FIELDS[kind])
        self.item(1, "signature", {})
        return "\n".join(self.lines)


def main():
    file, pointer = sys.argv[1:]
    value = json.loads((Path(__file__).parent / file).read_text())
    for step in pointer.strip("/").split("/"):
        value = value[int(step) if isinstance(value, list) else step]
    print(Listing(bytes.fromhex(value)).object())


if __name__ == "__main__":
    main()
