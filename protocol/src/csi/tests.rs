use proptest::prelude::*;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType};
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    profile: u8,
    phone_metadata: String,
    valid: Vec<Valid>,
    invalid: Vec<Invalid>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Valid {
    input: String,
    region: Option<String>,
    canonical: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invalid {
    input: String,
    region: Option<String>,
    reason: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../tests/vectors/v1/csi.json")).unwrap()
}

fn parse(input: &str, region: Option<&str>) -> Result<Csi, CsiError> {
    match region {
        Some(region) => Csi::parse_in_region(input, region),
        None => Csi::parse(input),
    }
}

/// The variant's name, as the vectors give reasons.
fn reason(error: CsiError) -> String {
    format!("{error:?}")
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn vectors_are_of_this_profile() {
    let vectors = vectors();
    assert_eq!(vectors.profile, PROFILE);
    assert_eq!(vectors.phone_metadata, PHONE_METADATA);
}

#[test]
fn valid_vectors_normalise() {
    for vector in vectors().valid {
        let csi = parse(&vector.input, vector.region.as_deref())
            .unwrap_or_else(|error| panic!("{}: {error}", vector.input));
        assert_eq!(csi.canonical(), vector.canonical);
        assert_eq!(Csi::from_canonical(&vector.canonical), Ok(csi));
        if vector.input != vector.canonical {
            assert!(
                Csi::from_canonical(&vector.input).is_err(),
                "{}",
                vector.input
            );
        }
    }
}

#[test]
fn invalid_vectors_are_refused_for_their_reason() {
    for vector in vectors().invalid {
        let error = parse(&vector.input, vector.region.as_deref()).unwrap_err();
        assert_eq!(reason(error), vector.reason, "{}", vector.input);
    }
}

#[test]
fn every_example_number_of_libphonenumber_is_canonical_as_it_stands() {
    let types = [
        PhoneNumberType::FixedLine,
        PhoneNumberType::Mobile,
        PhoneNumberType::TollFree,
        PhoneNumberType::VoIP,
    ];
    let mut seen = 0;
    for region in PHONE_NUMBER_UTIL.get_supported_regions() {
        for kind in types {
            let Ok(example) =
                PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, kind)
            else {
                continue;
            };
            let format = |format| PHONE_NUMBER_UTIL.format(&example, format).into_owned();
            let e164 = format(PhoneNumberFormat::E164);
            let expected = Csi::from_canonical(&format!("tel:{e164}")).unwrap();
            assert_eq!(
                Csi::parse(&format(PhoneNumberFormat::International)),
                Ok(expected.clone()),
                "{e164}"
            );
            assert_eq!(Csi::parse_in_region(&e164, "GB"), Ok(expected), "{e164}");
            seen += 1;
        }
    }
    assert!(seen > 600, "{seen}");
}

#[test]
fn limits_are_those_of_rfc_5321() {
    let local = "a".repeat(64);
    let label = "b".repeat(61);
    let domain = format!("{label}.{label}.{label}.d");
    assert_eq!(local.len() + 1 + domain.len(), 252);
    assert!(Csi::parse(&format!("{local}@{domain}")).is_ok());
    assert!(Csi::parse(&format!("{local}@{domain}dd")).is_ok());
    assert_eq!(
        Csi::parse(&format!("{local}@{domain}ddd")),
        Err(CsiError::TooLong { max: 254 })
    );
    assert_eq!(
        Csi::parse(&format!("{local}a@{label}.d")),
        Err(CsiError::TooLong { max: 64 })
    );
    assert_eq!(
        Csi::parse(&"1".repeat(1025)),
        Err(CsiError::TooLong { max: 1024 })
    );
}

#[test]
fn nothing_printed_holds_the_identifier() {
    let phone = Csi::parse("+44 20 7946 0000").unwrap();
    let mail = Csi::parse("someone@example.org").unwrap();
    for shown in [
        format!("{phone:?} {phone}"),
        format!("{mail:?} {mail}"),
        format!("{:#?}", (&phone, &mail)),
    ] {
        for part in ["44", "7946", "someone", "example"] {
            assert!(!shown.contains(part), "{shown}");
        }
    }
    assert_eq!((phone.kind(), mail.kind()), (CsiKind::Phone, CsiKind::Mail));
    assert_eq!(
        (phone.phone_digits(), phone.mail_domain()),
        (Some("442079460000"), None)
    );
    assert_eq!(
        (mail.phone_digits(), mail.mail_domain()),
        (None, Some("example.org"))
    );
}

proptest! {
    #[test]
    fn normalising_is_idempotent(text in "\\PC{0,24}(@\\PC{1,12}\\.[a-z]{2,3})?") {
        if let Ok(csi) = Csi::parse(&text) {
            prop_assert!(csi.canonical().len() <= MAX_CANONICAL_BYTES);
            prop_assert_eq!(Csi::from_canonical(csi.canonical()), Ok(csi));
        }
    }

    #[test]
    fn composed_and_decomposed_local_parts_are_one(local in "[\\p{L}\\p{M}]{1,8}") {
        let decomposed: String = unicode_normalization::UnicodeNormalization::nfd(local.as_str()).collect();
        let parse = |local: &str| Csi::parse(&format!("{local}@example.org"));
        prop_assert_eq!(parse(&decomposed), parse(&local));
    }

    #[test]
    fn case_of_an_ascii_address_does_not_matter(local in "[a-zA-Z0-9.+_-]{1,20}", domain in "[a-zA-Z0-9]{1,9}") {
        let address = format!("{local}@{domain}.org");
        prop_assert_eq!(Csi::parse(&address.to_uppercase()), Csi::parse(&address.to_lowercase()));
    }

    #[test]
    fn digits_in_any_spelling_are_one_number(subscriber in 0_u32..10_000_000, separators in "[ ()./-]{0,6}") {
        let digits = format!("4420{:08}", 70_000_000 + subscriber);
        let plain = Csi::parse(&format!("+{digits}")).unwrap();
        prop_assert_eq!(plain.canonical(), format!("tel:+{digits}"));
        let (head, tail) = digits.split_at(4);
        let middle = separators.replace(['(', ')', '/'], " ");
        prop_assert_eq!(Csi::parse(&format!("TEL:+{head}{middle}{tail}")), Ok(plain));
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in any::<String>(), region in any::<String>()) {
        let _ = Csi::parse(&text);
        let _ = Csi::parse_in_region(&text, &region);
        let _ = Csi::from_canonical(&text);
    }
}
