"""Mappings that are refused for their fields, or against the credential."""

from cose import cbor, seconds
from parties import BEGIN, CSIP, END, HOLDER, LAST_SECOND, NOW, SUBJECT, mapping_fields, signed, vector, without


def mapping(name, fields, rule, error, key=HOLDER):
    return vector(name, "mapping", signed("mapping", cbor(fields), key), rule, error)


def entry(msp="chat.example", tags=(), priority=0, default=False):
    return {1: msp, 2: list(tags), 3: priority, 4: default}


def vectors():
    yield from fields()
    yield from entries()
    yield from together()


def fields():
    good = mapping_fields()
    names = ["subject", "id", "seq", "not before", "expires", "assignment", "replaces all", "exclusive", "same app only", "entries"]
    exactly = "profile: exactly fields 1 to 10"
    for key, name in enumerate(names, 1):
        yield mapping(f"without {name}", without(good, key), exactly, "Fields.MissingField")
    for key in [0, 11, -1, "seq"]:
        yield mapping(f"with field {key}", good | {key: 1}, exactly, "Fields.UnknownField")
    for length in [0, 15, 17]:
        yield mapping(f"with an id of {length} bytes", good | {2: b"\1" * length}, "profile: id of 16 bytes", "Fields.WrongType")
    yield mapping("with an id as text", good | {2: "0123456789abcdef"}, "profile: id of 16 bytes", "Fields.WrongType")
    for key, name in [(3, "seq"), (4, "not before"), (6, "assignment")]:
        yield mapping(f"with {name} -1", good | {key: -1}, "profile: unsigned", "Fields.WrongType")
    yield mapping("with seq as text", good | {3: "7"}, "profile: unsigned", "Fields.WrongType")
    for key, name in [(7, "replaces all"), (8, "exclusive"), (9, "same app only")]:
        yield mapping(f"with {name} 1", good | {key: 1}, "profile: a boolean", "Fields.WrongType")
    yield mapping("with entries as a map", good | {10: {}}, "profile: an array", "Fields.WrongType")
    yield mapping("for a spelling of the subject", good | {1: "+442079460000"}, "profile: canonical CSI", "Subject.NotCanonical")
    begin, now = seconds(BEGIN), seconds(NOW)
    times = "profile: not before < expires ≤ 9999-12-30T22:00:00Z"
    for name, since, until, error in [
        ("valid for no time", begin, begin, "Validity"),
        ("ending before it begins", begin, begin - 1, "Validity"),
        ("valid until after 9999", begin, LAST_SECOND + 1, "Validity"),
        ("valid from the next second on", now + 1, now + 9, "NotYetValid"),
        ("valid until now", begin, now, "Expired"),
    ]:
        yield mapping(name, good | {4: since, 5: until}, times, error)


def entries():
    case = lambda name, entries, rule, error: mapping(name, mapping_fields() | {10: entries}, rule, error)
    good = entry(tags=["family"])
    for key, name in [(1, "its MSP"), (2, "tags"), (3, "priority"), (4, "default")]:
        yield case(f"with an entry without {name}", [without(good, key)], "profile: exactly fields 1 to 4", "Fields.MissingField")
    yield case("with an entry with field 5", [good | {5: 0}], "profile: exactly fields 1 to 4", "Fields.UnknownField")
    yield case("with an entry as text", ["chat.example"], "profile: a map", "Fields.WrongType")
    for msp in ["Chat.example", "chat.example.", "localhost", "bücher.example", "https://chat.example", "192.0.2.1", "chat_.example", ""]:
        yield case(f"with MSP {msp!r}", [entry(msp)], "profile: lower-case A-labels, two at least", "Entry.Msp")
    tag = "profile: tag of 1 to 32 bytes, NFC, no control characters or outer white space"
    for shown, value in [("empty", ""), ("of 33 bytes", "t" * 33), ("of 33 bytes in 11 characters", "\u4f60" * 11)]:
        yield case(f"with a tag {shown}", [entry(tags=[value])], tag, "Entry.TagLength")
    for shown, value in [("a line break", "a\nb"), ("DEL", "a\x7f"), ("a C1 control", "a\x85b"), ("a space before", " a"), ("a space after", "a "), ("no NFC", "e\u0301")]:
        yield case(f"with a tag with {shown}", [entry(tags=[value])], tag, "Entry.TagText")
    ordered = "profile: tags in strictly ascending order"
    yield case("with tags out of order", [entry(tags=["personal", "family"])], ordered, "Entry.TagOrder")
    yield case("with a tag twice", [entry(tags=["family", "family"])], ordered, "Entry.TagOrder")
    yield case("with 17 tags", [entry(tags=[f"{n:02}" for n in range(17)])], "profile: at most 16 tags", "Entry.TooManyTags")
    yield case("with a tag as bytes", [entry(tags=[b"family"])], "profile: text", "Fields.WrongType")
    for priority in [256, -1, "0"]:
        yield case(f"with priority {priority!r}", [entry(priority=priority)], "profile: 0 to 255", "Fields.WrongType")
    yield case("with default 0", [entry(default=0)], "profile: a boolean", "Fields.WrongType")
    many = lambda count: [entry(f"{n}.example") for n in range(count)]
    yield case("with 17 entries", many(17), "profile: at most 16 entries", "TooManyEntries")
    yield case("with two defaults", [entry(default=True), entry("b.example", default=True)], "profile: at most one default", "SeveralDefaults")
    repeated = "profile: no two entries of the same MSP and tags"
    yield case("with an entry twice", [good, entry("b.example"), good], repeated, "DuplicateEntry")
    yield case("with an entry twice, of other priority", [good, good | {3: 9, 4: True}], repeated, "DuplicateEntry")
    tags = sorted(f"{n:02}" + "t" * 7 for n in range(16))
    long = [entry(f"{n}.example", tags) for n in range(12)]
    yield case("of more than 2048 bytes", long, "profile: at most 2048 bytes", "TooLarge")


def together():
    good = mapping_fields()
    yield mapping("for another subject", good | {1: "tel:+442079460001"}, "profile: the credential's subject", "SubjectMismatch")
    for assignment in [1, 3]:
        yield mapping(f"of assignment {assignment}", good | {6: assignment}, "profile: the credential's assignment", "AssignmentMismatch")
    yield mapping("by the CSIP", good, "profile: signed by the credential's holder", "Cose.WrongKey", CSIP)
