use std::collections::HashSet;

use protocol::token::PendingTokens;
use serde::Deserialize;

use super::*;
use crate::data_dir::InitOptions;

const NOW: UnixTime = UnixTime::from_secs(1_795_392_000);
const WEEK: u64 = 7 * DAY_SECS;

#[derive(Deserialize)]
struct Rfc9578 {
    pk: String,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    token_challenge: String,
    token: String,
}

fn data() -> (tempfile::TempDir, DataDir) {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::init(&root.path().join("data"), &InitOptions::default()).unwrap();
    (root, data)
}

fn prepared(data: &DataDir, now: UnixTime) -> Tokens {
    let digest = Tokens::prepare(data, now, 3600).unwrap();
    Tokens::forget_directories_but(data, &digest).unwrap();
    Tokens::open(data, Some(&digest)).unwrap()
}

fn directory(tokens: &Tokens) -> IssuerDirectory {
    IssuerDirectory::from_json(tokens.directory().unwrap()).unwrap()
}

fn token(tokens: &Tokens, now: UnixTime) -> Token {
    let directory = directory(tokens);
    let (key, _) = directory.issuing(now).unwrap();
    let name = tokens.name.clone();
    let challenge = TokenChallenge::for_origin(TokenType::Voprf, name.clone(), name);
    let rng = &mut rand::rng();
    let pending = PendingTokens::blind(&challenge, &key, 1, rng).unwrap();
    let request = pending.request();
    let issuing = tokens.issuing(request.truncated_key_id, now).unwrap();
    let response = issuing.issue(&request.elements, rng).unwrap();
    pending.finalize(&response).unwrap().remove(0)
}

#[test]
fn keys_follow_each_other_and_end() {
    let (_root, data) = data();
    let first = prepared(&data, NOW);
    assert_eq!(directory(&first).token_keys.len(), 2);
    let token = token(&first, NOW);
    let good = first.verify(&token, NOW).unwrap();
    assert_eq!(good.expires, NOW.saturating_add(2 * WEEK));
    assert_eq!(good.issuer, None);

    // A build changes nothing while a period lasts.
    let day = NOW.saturating_add(DAY_SECS);
    let same = prepared(&data, day);
    assert!(directory(&same).token_keys.len() <= 3);
    assert!(same.verify(&token, day).is_ok());

    let next = NOW.saturating_add(WEEK + DAY_SECS);
    let second = prepared(&data, next);
    assert!(
        second.verify(&token, next).is_ok(),
        "taken for a period more"
    );
    let truncated = token.key_id().truncated();
    assert!(second.issuing(truncated, next).is_none(), "but not issued");
    let listed = directory(&second);
    let (issuing, _) = listed.issuing(next).unwrap();
    assert_ne!(issuing.id(), token.key_id());
    // Who has the directory of the first week knows the key of the second.
    assert!(directory(&first).find(&issuing.id()).is_some());

    let end = NOW.saturating_add(2 * WEEK);
    assert_eq!(second.verify(&token, end), Err(Refused::Key));
    let third = prepared(&data, end);
    assert_eq!(third.verify(&token, end), Err(Refused::Key));
    assert!(directory(&third).find(&token.key_id()).is_none());
    assert!(third.keys.iter().all(|key| key.taken_until() > end));
    let ids: HashSet<_> = third
        .keys
        .iter()
        .map(|key| key.key.public_key().id().truncated())
        .collect();
    assert_eq!(ids.len(), third.keys.len());

    // Long after, new keys begin at once.
    let later = NOW.saturating_add(50 * WEEK);
    assert!(directory(&prepared(&data, later)).issuing(later).is_some());
}

#[test]
fn keys_cover_the_lifetime_of_a_snapshot() {
    let (_root, data) = data();
    let digest = Tokens::prepare(&data, NOW, 5 * WEEK).unwrap();
    let tokens = Tokens::open(&data, Some(&digest)).unwrap();
    let directory = directory(&tokens);
    assert!(!tokens.run_out(NOW.saturating_add(5 * WEEK)));
    assert!(tokens.run_out(NOW.saturating_add(6 * WEEK)));
    for week in 0..=5 {
        assert!(directory.issuing(NOW.saturating_add(week * WEEK)).is_some());
    }
}

#[test]
fn a_long_lifetime_makes_few_keys() {
    let (_root, data) = data();
    Tokens::prepare(&data, NOW, 1000 * WEEK).unwrap();
    let keys = Tokens::open(&data, None).unwrap().keys.len();
    assert!((16..=18).contains(&keys), "{keys}");
}

#[test]
fn the_directory_is_the_published_one() {
    let (_root, data) = data();
    let first = Tokens::prepare(&data, NOW, 3600).unwrap();
    assert_eq!(Tokens::prepare(&data, NOW, 3600).unwrap(), first);
    let later = NOW.saturating_add(3 * WEEK);
    let second = Tokens::prepare(&data, later, 3600).unwrap();
    assert_ne!(first, second);
    // Until the next snapshot is published, the manifest has the first.
    let open = |digest| Tokens::open(&data, Some(digest)).unwrap();
    assert_eq!(
        IssuerDirectory::digest(open(&first).directory().unwrap()),
        first
    );
    Tokens::forget_directories_but(&data, &second).unwrap();
    assert!(open(&first).directory().is_none());
    assert!(open(&second).directory().is_some());
}

#[test]
fn strange_files_are_refused() {
    let (_root, data) = data();
    prepared(&data, NOW);
    let path = data.token_keys().join("key.key");
    std::fs::write(&path, "x").unwrap();
    assert!(matches!(
        Tokens::open(&data, None),
        Err(DataDirError::Tokens(TokensError::Name { .. }))
    ));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(data.issuers_path(), "[[issuer]]\nname = \"a\"\n").unwrap();
    assert!(matches!(
        Tokens::open(&data, None),
        Err(DataDirError::Tokens(TokensError::Issuers { .. }))
    ));
}

#[test]
fn tokens_of_other_issuers_are_taken_as_listed() {
    let file: Rfc9578 = serde_json::from_str(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/vectors/rfc9578/type-0x0002.json"
    )))
    .unwrap();
    let (_root, data) = data();
    let spki = hex::decode(&file.pk).unwrap();
    let entry = {
        use base64::Engine as _;
        let key = base64::engine::general_purpose::URL_SAFE.encode(spki);
        format!(
            "[[issuer]]\nname = \"issuer.example\"\npublic_key = \"{key}\"\n\
             not_before = \"2026-11-01T00:00:00Z\"\nnot_after = \"2026-12-01T00:00:00Z\"\n\
             per_day = 3\n"
        )
    };
    std::fs::write(data.issuers_path(), &entry).unwrap();
    let mut tokens = Tokens::open(&data, None).unwrap();
    tokens.name = ServerName::new("origin.example").unwrap();
    let mut taken = 0;
    for vector in &file.vectors {
        let token = Token::decode(&hex::decode(&vector.token).unwrap()).unwrap();
        let challenge = hex::decode(&vector.token_challenge).unwrap();
        let challenge = TokenChallenge::decode(&challenge).unwrap();
        // Each verifies; one is for this origin and any context.
        assert!(
            tokens
                .issuers
                .find(&token.key_id(), NOW)
                .unwrap()
                .verifies(&token)
        );
        let ours = challenge.redemption_context.is_none()
            && challenge.origin_info == [tokens.name.clone()];
        if !ours {
            assert_eq!(tokens.verify(&token, NOW), Err(Refused::Challenge));
            continue;
        }
        let good = tokens.verify(&token, NOW).unwrap();
        assert_eq!(good.issuer.unwrap().per_day, 3);
        assert_eq!(good.expires, good.issuer.unwrap().not_after);
        for early_or_late in [NOW.saturating_sub(30 * DAY_SECS), good.expires] {
            assert_eq!(tokens.verify(&token, early_or_late), Err(Refused::Key));
        }
        for at in [40, 98, 200, 353] {
            let mut altered = token.as_bytes().to_vec();
            altered[at] ^= 1;
            let altered = Token::decode(&altered).unwrap();
            assert!(tokens.verify(&altered, NOW).is_err());
        }
        taken += 1;
    }
    assert_eq!(taken, 1);
    assert_eq!(tokens.challenges(NOW).len(), 1);
    for bad in [
        entry.repeat(2),
        entry.replace("2026-12-01", "2026-10-01"),
        entry.replace("per_day", "per_week"),
        entry.replace("issuer.example", "issuer example"),
        entry.replace("public_key = \"MII", "public_key = \"MIJ"),
    ] {
        std::fs::write(data.issuers_path(), bad).unwrap();
        assert!(Tokens::open(&data, None).is_err());
    }
    // Spent tokens are forgotten when the key ends: it can't end later than was
    // said, also if it wasn't listed in between.
    let later = entry.replace("2026-12-01", "2026-12-02");
    let sooner = entry.replace("2026-12-01", "2026-11-30");
    for (listed, is_taken) in [
        (&later, false),
        (&String::new(), true),
        (&later, false),
        (&entry, true),
        (&sooner, true),
        (&entry, false),
        (&sooner, true),
    ] {
        std::fs::write(data.issuers_path(), listed).unwrap();
        match Tokens::open(&data, None) {
            Err(DataDirError::Tokens(TokensError::Extended { .. })) => assert!(!is_taken),
            opened => assert_eq!(opened.is_ok(), is_taken),
        }
    }
}
