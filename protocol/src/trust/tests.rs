use proptest::prelude::*;

use super::*;
use crate::cose::SigningKey;

fn key(seed: u8) -> VerifyingKey {
    SigningKey::from_seed(&[seed; 32]).verifying_key()
}

fn csip(issuer: &str, seed: u8, scopes: &[&str]) -> TrustedCsip {
    TrustedCsip {
        issuer: Issuer::new(issuer).unwrap(),
        key: key(seed),
        scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
        not_before: None,
        not_after: None,
    }
}

fn entry(key: &VerifyingKey, rest: &str) -> String {
    format!(
        "[[csip]]\nissuer = \"a.example\"\nkey = \"{}\"\n{rest}\n",
        key.to_text()
    )
}

fn at(text: &str) -> UnixTime {
    UnixTime::parse_rfc3339(text).unwrap()
}

#[test]
fn a_list_is_read_as_documented() {
    let list = TrustList::from_toml(&entry(
        &key(1),
        "scopes = [\"tel:+44\", \"mailto:*@Example.COM\"]\nnot_before = \"2026-01-01T00:00:00Z\"\nnot_after = \"2028-01-01T00:00:00+00:00\"",
    ))
    .unwrap();
    assert_eq!(
        list.csips(),
        [TrustedCsip {
            not_before: Some(at("2026-01-01T00:00:00Z")),
            not_after: Some(at("2028-01-01T00:00:00Z")),
            ..csip("a.example", 1, &["tel:+44", "mailto:*@example.com"])
        }]
    );
    assert_eq!(TrustList::from_toml(&list.to_toml()), Ok(list));
    assert!(TrustList::from_toml("").unwrap().is_empty());
}

#[test]
fn scopes_cover_what_they_say() {
    let covers = |scope: &str, csi: &str| {
        scope
            .parse::<Scope>()
            .unwrap()
            .covers(&Csi::parse(csi).unwrap())
    };
    let (gb, us, mail) = ("+442079460000", "+14155550123", "a@example.com");
    assert_eq!(
        [gb, us, mail].map(|csi| covers("tel:*", csi)),
        [true, true, false]
    );
    assert_eq!(
        [gb, us, mail].map(|csi| covers("tel:+44", csi)),
        [true, false, false]
    );
    assert_eq!(
        [gb, us, mail].map(|csi| covers("tel:+442079460000", csi)),
        [true, false, false]
    );
    assert_eq!(
        [gb, us, mail].map(|csi| covers("tel:+4420794600001", csi)),
        [false; 3]
    );
    assert_eq!(
        [gb, us, mail].map(|csi| covers("mailto:*", csi)),
        [false, false, true]
    );
    assert_eq!(
        [gb, us, mail].map(|csi| covers("mailto:*@EXAMPLE.com", csi)),
        [false, false, true]
    );
    assert!(!covers("mailto:*@example.com", "a@sub.example.com"));
    assert!(!covers("mailto:*@example.com", "a@badexample.com"));
    assert!(covers("mailto:*@bücher.example", "a@xn--bcher-kva.example"));
}

#[test]
fn scopes_of_other_forms_are_refused() {
    let refusal = |scope: &str| scope.parse::<Scope>().unwrap_err();
    for scope in [
        "",
        "*",
        "tel:",
        "tel:44",
        "TEL:*",
        "mailto:a@example.com",
        "mailto:@example.com",
        " tel:*",
    ] {
        assert_eq!(refusal(scope), ScopeError::Form, "{scope}");
    }
    for scope in [
        "tel:+",
        "tel:+0",
        "tel:+4*",
        "tel:+44 20",
        "tel:+1234567890123456",
    ] {
        assert_eq!(refusal(scope), ScopeError::PhonePrefix, "{scope}");
    }
    for scope in [
        "mailto:*@",
        "mailto:*@localhost",
        "mailto:*@*.example.com",
        "mailto:*@a@example.com",
    ] {
        assert_eq!(refusal(scope), ScopeError::MailDomain, "{scope}");
    }
}

#[test]
fn each_reason_for_distrust_is_its_own() {
    let (begin, end) = (at("2026-01-01T00:00:00Z"), at("2028-01-01T00:00:00Z"));
    let limited = TrustedCsip {
        not_before: Some(begin),
        not_after: Some(end),
        ..csip("a.example", 1, &["tel:+44"])
    };
    let list = TrustList::new(vec![limited, csip("b.example", 2, &["tel:*"])]).unwrap();
    let authorise = |issuer: &str, seed, csi: &str, now| {
        list.authorise(
            &Issuer::new(issuer).unwrap(),
            key(seed).key_id(),
            &Csi::parse(csi).unwrap(),
            now,
        )
    };
    let number = "+442079460000";
    assert_eq!(authorise("a.example", 1, number, begin), Ok(&key(1)));
    assert_eq!(
        authorise("b.example", 2, number, UnixTime::from_secs(0)),
        Ok(&key(2))
    );
    assert_eq!(
        authorise("c.example", 1, number, begin),
        Err(TrustError::UnknownIssuer)
    );
    assert_eq!(
        authorise("a.example", 2, number, begin),
        Err(TrustError::UnknownKey)
    );
    assert_eq!(
        authorise("a.example", 1, "+14155550123", begin),
        Err(TrustError::OutOfScope)
    );
    assert_eq!(
        authorise("a.example", 1, number, begin.saturating_sub(1)),
        Err(TrustError::NotYetValid)
    );
    assert_eq!(
        authorise("a.example", 1, number, end.saturating_sub(1)),
        Ok(&key(1))
    );
    assert_eq!(
        authorise("a.example", 1, number, end),
        Err(TrustError::Expired)
    );
}

#[test]
fn each_broken_rule_has_its_own_refusal() {
    let refusal = |text: &str| TrustList::from_toml(text).unwrap_err();
    let with = |rest: &str| refusal(&entry(&key(1), rest));
    for text in ["csip = 1", "[[csips]]", "x", "[[csip]]\nissuer = \"a\""] {
        assert!(matches!(refusal(text), TrustListError::Toml(_)), "{text}");
    }
    assert!(matches!(
        with("scopes = [\"tel:*\"]\nnote = \"x\""),
        TrustListError::Toml(_)
    ));
    assert!(matches!(
        with("scopes = \"tel:*\""),
        TrustListError::Toml(_)
    ));
    assert_eq!(with("scopes = []"), TrustListError::NoScopes { entry: 1 });
    assert_eq!(
        with("scopes = [\"mailto:*@a.example\", \"mailto:*@A.EXAMPLE\"]"),
        TrustListError::DuplicateScope { entry: 1 }
    );
    assert_eq!(
        with("scopes = [\"tel:*\", \"x\"]"),
        TrustListError::Scope {
            entry: 1,
            number: 2,
            source: ScopeError::Form
        }
    );
    assert_eq!(
        with("scopes = [\"tel:*\"]\nnot_after = \"soon\""),
        TrustListError::Time {
            entry: 1,
            field: "not_after",
            source: TimeError::Text
        }
    );
    let period = "scopes = [\"tel:*\"]\nnot_before = \"2026-01-01T00:00:00Z\"\nnot_after = \"2026-01-01T00:00:00Z\"";
    assert_eq!(with(period), TrustListError::EmptyPeriod { entry: 1 });
    let one = entry(&key(1), "scopes = [\"tel:*\"]");
    let other_scope = entry(&key(1), "scopes = [\"mailto:*\"]");
    assert_eq!(
        refusal(&format!("{one}{other_scope}")),
        TrustListError::DuplicateKey { entry: 2 }
    );
    assert!(
        TrustList::from_toml(&format!(
            "{one}{}",
            other_scope.replace("a.example", "b.example")
        ))
        .is_ok()
    );
    assert_eq!(
        refusal(&one.replace("a.example", "a b")),
        TrustListError::Issuer {
            entry: 1,
            source: IssuerError::Character
        }
    );
    assert_eq!(
        refusal(&one.replace("ed25519:", "x25519:")),
        TrustListError::Key {
            entry: 1,
            source: CoseError::MalformedKey
        }
    );
    let late = TrustedCsip {
        not_after: Some(UnixTime::from_secs(u64::MAX)),
        ..csip("a.example", 1, &["tel:*"])
    };
    assert_eq!(
        TrustList::new(vec![late]).unwrap_err(),
        TrustListError::Time {
            entry: 1,
            field: "not_after",
            source: TimeError::OutOfRange
        }
    );
}

#[test]
fn the_digest_is_of_the_content_and_not_of_its_spelling() {
    let (a, b) = (
        csip("a.example", 1, &["tel:*", "mailto:*"]),
        csip("b.example", 2, &["tel:+44"]),
    );
    let a_reversed = csip("a.example", 1, &["mailto:*", "tel:*"]);
    let digest = |csips: &[&TrustedCsip]| {
        TrustList::new(csips.iter().map(|csip| (*csip).clone()).collect())
            .unwrap()
            .digest()
    };
    assert_eq!(digest(&[&a, &b]), digest(&[&b, &a_reversed]));
    let limited = |not_before, not_after| TrustedCsip {
        not_before,
        not_after,
        ..a.clone()
    };
    let time = Some(UnixTime::from_secs(5));
    let others = [
        digest(&[]),
        digest(&[&a]),
        digest(&[&a, &b]),
        digest(&[&limited(time, None)]),
        digest(&[&limited(None, time)]),
        digest(&[&csip("a.example", 3, &["tel:*", "mailto:*"])]),
        digest(&[&csip("a.example", 1, &["tel:*"])]),
        digest(&[&csip("c.example", 1, &["tel:*", "mailto:*"])]),
    ];
    let distinct: std::collections::BTreeSet<_> = others.iter().collect();
    assert_eq!(distinct.len(), others.len());
    // SHA3-256 of the empty array 0x80.
    assert_eq!(digest(&[])[..], Sha3_256::digest([0x80])[..]);
}

fn arbitrary() -> impl Strategy<Value = Vec<TrustedCsip>> {
    let scope = prop_oneof![
        Just("tel:*".to_owned()),
        Just("mailto:*".to_owned()),
        "tel:\\+[1-9][0-9]{0,14}",
        "mailto:\\*@[a-z]{1,9}\\.[a-z]{2,4}",
    ];
    let scopes = prop::collection::btree_set(scope, 1..5);
    let times = (
        prop::option::of(0..1_000_000_u64),
        prop::option::of(1_000_001..2_000_000_u64),
    );
    prop::collection::btree_map((0..4_u8, any::<u8>()), (scopes, times), 0..6).prop_map(|entries| {
        let entries = entries
            .into_iter()
            .map(|((issuer, seed), (scopes, (begin, end)))| TrustedCsip {
                not_before: begin.map(UnixTime::from_secs),
                not_after: end.map(UnixTime::from_secs),
                ..csip(
                    &format!("i{issuer}.example"),
                    seed,
                    &scopes.iter().map(String::as_str).collect::<Vec<_>>(),
                )
            });
        entries.collect()
    })
}

proptest! {
    #[test]
    fn lists_round_trip(csips in arbitrary()) {
        let list = TrustList::new(csips.clone()).unwrap();
        let read = TrustList::from_toml(&list.to_toml()).unwrap();
        prop_assert_eq!(read.digest(), list.digest());
        prop_assert_eq!(&read, &list);
        for csip in &csips {
            let now = csip.not_before.unwrap_or(UnixTime::from_secs(0));
            let number = Csi::parse("+442079460000").unwrap();
            let expected = csip.scopes.iter().any(|scope| scope.covers(&number));
            let found = list.authorise(&csip.issuer, csip.key.key_id(), &number, now);
            prop_assert_eq!(found.ok(), expected.then_some(&csip.key));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = TrustList::from_toml(&text);
        let _ = text.parse::<Scope>();
    }
}
