//! Lookups with a keyring.

use protocol::audience::{
    AudienceCiphertext, AudienceContent, AudienceHandle, AudienceLabel, AudienceSecret, Term,
    seal_record,
};
use protocol::bundle::Bundle;
use protocol::lookup::Lookup;
use protocol::mapping::{Readers, SignedMapping};
use protocol::oprf::OprfOutput;

use super::*;
use crate::fixture::{holder, oprf_key};
use crate::found::AudienceFound;
use crate::keyring::{Keyring, Membership};
use crate::slots::SlotCount;

/// The audience that the recipients of these tests publish for.
pub(super) const FRIENDS: u8 = 1;
/// Another that has records, which are not what they should be.
const BROKEN: u8 = 2;

fn secret(fill: u8) -> AudienceSecret {
    AudienceSecret::from_bytes([fill; 32])
}

fn label(text: &str) -> AudienceLabel {
    AudienceLabel::new(text).unwrap()
}

fn handle(name: &str, fill: u8) -> AudienceHandle {
    AudienceHandle::derive(&csi(name), &secret(fill))
}

fn output(name: &str, fill: u8) -> OprfOutput {
    oprf_key().evaluate(&handle(name, fill)).unwrap()
}

/// The content of the record that the recipient publishes for an audience.
fn sealed(name: &str, fill: u8, msps: &[&str]) -> Vec<u8> {
    let (csi, bytes) = bundle(name, msps);
    let now = UnixTime::now();
    let term = Term {
        seq: 1,
        issued_at: now,
        expires: now.saturating_add(3600),
    };
    let public = Bundle::decode(&bytes).unwrap();
    let handle = AudienceHandle::derive(&csi, &secret(fill));
    let sign = |mapping: &SignedMapping| {
        let readers = Readers::Audience(&handle);
        mapping.unverified().sign_for(&holder(), readers).unwrap()
    };
    let mappings = public.mappings().iter().map(sign).collect();
    let bundle = Bundle::new(public.credential().clone(), mappings).unwrap();
    let rng = &mut rand::rng();
    let signed = seal_record(&holder(), &csi, &secret(fill), &bundle, term, rng).unwrap();
    match &signed.verify(now).unwrap().content {
        AudienceContent::Sealed(ciphertext) => ciphertext.as_bytes().to_vec(),
        AudienceContent::Removed => panic!("no ciphertext"),
    }
}

/// Content sealed for an audience although its recipient never said so.
fn forged(name: &str, fill: u8, content: &[u8]) -> Vec<u8> {
    let (secret, handle) = (secret(fill), handle(name, fill));
    let sealed = AudienceCiphertext::seal(&secret, &handle, content, &mut rand::rng()).unwrap();
    sealed.as_bytes().to_vec()
}

/// Public records of `listed` and `opted.out`; for friends, records of `listed`
/// and `hidden`; and for another audience, what nobody may believe.
pub(super) fn snapshot() -> Arc<Snapshot> {
    let public = |name, msps: &[&str]| {
        let (csi, content) = bundle(name, msps);
        (oprf_key().evaluate(&csi).unwrap(), content)
    };
    let broken = |name, content| (output(name, BROKEN), content);
    let records = [
        public("listed", &["public.example"]),
        public("opted.out", &[]),
        (
            output("listed", FRIENDS),
            sealed("listed", FRIENDS, &["friends.example"]),
        ),
        (
            output("hidden", FRIENDS),
            sealed("hidden", FRIENDS, &["hidden.example"]),
        ),
        (
            output("damaged", FRIENDS),
            sealed("damaged", FRIENDS, &["friends.example"]),
        ),
        // Another's bundle, sealed by a member.
        broken(
            "listed",
            forged("listed", BROKEN, &bundle("someone.else", &["x.example"]).1),
        ),
        // No bundle at all.
        broken("malformed", forged("malformed", BROKEN, b"no bundle")),
        // The same CSI's, for another audience.
        broken("moved", sealed("moved", FRIENDS, &["x.example"])),
        // One that was never sealed for an audience.
        broken("plain", bundle("plain", &["x.example"]).1),
    ];
    let damaged = [output("damaged", FRIENDS)];
    Arc::new(Snapshot::build_at(&records, &damaged, None))
}

pub(super) fn keyring(memberships: &[(&str, u8, Option<&str>)]) -> Keyring {
    let mut keyring = Keyring::default();
    for (text, fill, bound) in memberships {
        let membership = Membership {
            label: label(text),
            secret: secret(*fill),
            csi: bound.map(csi),
        };
        keyring.add(membership).unwrap();
    }
    keyring
}

async fn client(provider: &Provider, keyring: Keyring) -> Client {
    let config = provider.config().with_keyring(keyring);
    Client::connect(config).await.unwrap()
}

/// Labels with the MSP that each audience is told of.
pub(super) fn told(found: &Found) -> Vec<(&str, &str)> {
    let audiences = found.audiences.iter();
    audiences
        .map(|audience| (audience.label.as_str(), msp(&audience.lookup)))
        .collect()
}

#[tokio::test]
async fn members_find_what_others_do_not() {
    let provider = Provider::serve(snapshot()).await;
    let member = client(&provider, keyring(&[("friends", FRIENDS, None)])).await;
    let bound = client(
        &provider,
        keyring(&[
            ("other", FRIENDS, Some("hidden")),
            ("mine", FRIENDS, Some("listed")),
        ]),
    )
    .await;
    let stranger = client(&provider, keyring(&[("strange", 9, None)])).await;
    let outsider = Client::connect(provider.config()).await.unwrap();

    let listed = csi("listed");
    let found = member.find(&listed).await.unwrap();
    assert_eq!(msp(&found.public), "public.example");
    assert_eq!(told(&found), [("friends", "friends.example")]);
    assert_eq!(found.not_asked, 0);
    // An audience bound to another identifier is not asked for.
    let found = bound.find(&listed).await.unwrap();
    assert_eq!(told(&found), [("mine", "friends.example")]);
    for client in [&stranger, &outsider] {
        let found = client.find(&listed).await.unwrap();
        assert_eq!(msp(&found.public), "public.example");
        assert_eq!(told(&found), []);
    }

    let found = member.find(&csi("hidden")).await.unwrap();
    assert_eq!(found.public, Lookup::NoMapping);
    assert_eq!(told(&found), [("friends", "hidden.example")]);
    for client in [&stranger, &outsider] {
        let found = client.find(&csi("hidden")).await.unwrap();
        assert_eq!((found.public, found.audiences), (Lookup::NoMapping, vec![]));
    }
}

#[tokio::test]
async fn results_keep_to_their_identifiers() {
    let provider = Provider::serve(snapshot()).await;
    let client = client(&provider, keyring(&[("friends", FRIENDS, None)])).await;
    let csis = ["absent", "hidden", "listed", "opted.out", "hidden"].map(csi);
    let found = client.find_many(&csis).await;
    let found: Vec<Found> = found.into_iter().map(Result::unwrap).collect();
    let told: Vec<Vec<(&str, &str)>> = found.iter().map(told).collect();
    let (hidden, listed) = (
        ("friends", "hidden.example"),
        ("friends", "friends.example"),
    );
    assert_eq!(
        told,
        [vec![], vec![hidden], vec![listed], vec![], vec![hidden]]
    );
    assert_eq!(found[3].public, Lookup::OptedOut);
    // Who has no use for audiences gets the public records.
    let public = client.lookup_many(&csis).await;
    for (public, found) in public.into_iter().zip(&found) {
        assert_eq!(public.unwrap(), found.public);
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_audience_record_is_its_own_result() {
    let provider = Provider::serve(snapshot()).await;
    let memberships = [("broken", BROKEN, None), ("friends", FRIENDS, None)];
    let client = client(&provider, keyring(&memberships)).await;
    for (name, text, why) in [
        ("listed", "broken", Unverifiable::CredentialSubject),
        ("malformed", "broken", Unverifiable::MalformedBundle),
        ("moved", "broken", Unverifiable::AudienceDidNotOpen),
        ("plain", "broken", Unverifiable::AudienceDidNotOpen),
        ("damaged", "friends", Unverifiable::BucketNotUnderRoot),
    ] {
        let found = client.find(&csi(name)).await.unwrap();
        let unverifiable = AudienceFound {
            label: label(text),
            lookup: Lookup::Unverifiable(why),
        };
        assert_eq!(found.audiences[0], unverifiable, "{name}");
        if name == "listed" {
            // It harms neither the public record nor another audience's.
            assert_eq!(msp(&found.public), "public.example");
            assert_eq!(msp(&found.audiences[1].lookup), "friends.example");
        } else {
            let rest = (found.public, found.audiences.len());
            assert_eq!(rest, (Lookup::NoMapping, 1), "{name}");
        }
    }
}

#[tokio::test]
async fn audiences_without_a_slot_are_counted() {
    let provider = Provider::serve(snapshot()).await;
    let memberships = [
        ("a", 11, None),
        ("b", 12, None),
        ("bound", FRIENDS, Some("listed")),
    ];
    for (slots, not_asked, told_to) in [(1, 3, 0), (2, 2, 1), (3, 1, 1), (4, 0, 1), (5, 0, 1)] {
        let config = provider
            .config()
            .with_keyring(keyring(&memberships))
            .with_slots(SlotCount::new(slots).unwrap());
        let client = Client::connect(config).await.unwrap();
        let found = client.find(&csi("listed")).await.unwrap();
        assert_eq!(
            (found.not_asked, told(&found).len()),
            (not_asked, told_to),
            "{slots} slots"
        );
    }
}

/// What goes over the wire, for one and for several identifiers, whatever the
/// keyring holds, is found or can't be believed.
#[tokio::test]
async fn the_wire_depends_on_the_number_of_slots_alone() {
    let provider = Provider::serve(snapshot()).await;
    let keyrings = [
        keyring(&[]),
        keyring(&[("friends", FRIENDS, None)]),
        keyring(&[("mine", FRIENDS, Some("listed")), ("broken", BROKEN, None)]),
        keyring(&[
            ("a", 11, None),
            ("b", 12, None),
            ("c", 13, None),
            ("d", 14, None),
        ]),
    ];
    let mut outlines = Vec::new();
    for keyring in keyrings {
        let client = client(&provider, keyring).await;
        provider.take_seen();
        for names in [
            ["listed", "hidden"],
            ["absent", "damaged"],
            ["opted.out", "malformed"],
        ] {
            let csis = names.map(csi);
            for csis in [&csis[..1], &csis[1..], &csis] {
                let before = client.traffic();
                let results = client.find_many(csis).await;
                assert!(results.iter().all(Result::is_ok));
                let traffic = client.traffic().since(before);
                let seen = provider.take_seen();
                let queries = queries(&seen);
                assert_eq!(queries.len(), 4 * csis.len());
                assert_eq!(distinct(&queries), queries.len());
                let outline: Vec<_> = seen.iter().map(Seen::outline).collect();
                outlines.push((csis.len(), outline, traffic));
            }
        }
    }
    for count in [1, 2] {
        let alike: Vec<_> = outlines.iter().filter(|(of, ..)| *of == count).collect();
        assert!(alike.len() >= 12);
        assert!(
            alike.windows(2).all(|pair| pair[0] == pair[1]),
            "{count} identifiers: {alike:?}"
        );
        let (_, outline, traffic) = alike[0];
        assert_eq!(
            outline.len(),
            1 + 4 * count,
            "one OPRF request, then queries"
        );
        assert_eq!(traffic.requests as usize, outline.len());
    }
}

#[tokio::test]
async fn a_replaced_snapshot_is_followed_in_every_slot() {
    let first = super::snapshot("a.example", None);
    let provider = Provider::serve(Arc::clone(&first)).await;
    let client = client(&provider, keyring(&[("friends", FRIENDS, None)])).await;
    let records = [(
        output("listed", FRIENDS),
        sealed("listed", FRIENDS, &["friends.example"]),
    )];
    let second = Arc::new(Snapshot::build_at(&records, &[], Some(&first)));
    provider.take_seen();
    provider
        .state
        .replacements
        .lock()
        .unwrap()
        .push_back(second);
    let found = client.find(&csi("listed")).await.unwrap();
    assert_eq!(found.public, Lookup::NoMapping);
    assert_eq!(told(&found), [("friends", "friends.example")]);
    let seen = provider.take_seen();
    assert_eq!(distinct(&queries(&seen)), queries(&seen).len());
}
