"""Bundles that are refused; what they hold isn't verified yet."""

from cose import cbor, seconds
from parties import BEGIN, CSIP, HOLDER, credential_claims, mapping_fields, vector


def bundle(name, items, rule, error):
    return vector(name, "bundle", cbor(items), rule, error)


def vectors():
    credential = CSIP.sign1("credential", cbor(credential_claims()))
    mapping = lambda number, seq=7: HOLDER.sign1("mapping", cbor(mapping_fields() | {2: bytes([number] * 16), 3: seq}))
    first, second = mapping(1), mapping(2)
    shape = "profile: [1, credential, [mapping, ..]]"
    good = [1, credential, [first, second]]
    yield bundle("of version 2", [2] + good[1:], "profile: version 1", "Version")
    yield bundle("of version 1 as text", ["1"] + good[1:], "profile: version 1", "Version")
    yield bundle("without mappings", good[:2], shape, "Shape")
    yield bundle("with a fourth item", good + [0], shape, "Shape")
    yield bundle("as a map", {1: credential, 2: [first]}, shape, "Shape")
    yield bundle("with a mapping for the array", [1, credential, first], shape, "Shape")
    yield bundle("with a mapping as text", [1, credential, ["mapping"]], shape, "Shape")
    yield bundle("without a credential", [1, b"", [first]], "RFC 9052 §4.2", "Credential.Cose.Cbor.Truncated")
    reversed_times = cbor(credential_claims() | {4: seconds(BEGIN) - 1})
    yield bundle("with a credential that ends before it begins", [1, CSIP.sign1("credential", reversed_times), []], "profile: 1 second to 90 days", "Credential.Validity")
    yield bundle("with its credential for a mapping", [1, credential, [credential]], "profile: content type of the kind", "Mapping.Cose.WrongContentType")
    order = "profile: mappings in strictly ascending order of id, assignment, seq and bytes"
    yield bundle("with ids out of order", [1, credential, [second, first]], order, "MappingOrder")
    yield bundle("with seqs out of order", [1, credential, [mapping(1, 8), first]], order, "MappingOrder")
    yield bundle("with a mapping twice", [1, credential, [first, first]], order, "DuplicateMapping")
    yield bundle("with 17 mappings", [1, credential, [mapping(n) for n in range(17)]], "profile: at most 16 mappings", "TooManyMappings")
    yield vector("with a byte more", "bundle", cbor(good) + b"\0", "RFC 8949 §5.1: one item", "Cbor.TrailingBytes")
    yield vector("of indefinite length", "bundle", b"\x9f" + cbor(good)[1:] + b"\xff", "RFC 8949 §4.2.1", "Cbor.IndefiniteLength")
