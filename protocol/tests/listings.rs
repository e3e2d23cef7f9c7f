//! The annotated listings of `docs/objects.md` are the vectors that they claim to
//! be.

use protocol::credential::SignedCredential;
use protocol::mapping::SignedMapping;
use protocol::removal::{SignedRelease, SignedRemoval};

/// A listing of the document.
struct Listing {
    /// Where in `objects.json` its bytes are (RFC 6901).
    pointer: String,
    /// What stands before the `#` of each line.
    bytes: Vec<u8>,
}

/// Each block that follows a line of the form `` `objects.json` at `/pointer`: ``.
fn listings() -> Vec<Listing> {
    let mut lines = include_str!("../../docs/objects.md").lines();
    let mut listings = Vec::new();
    while let Some(line) = lines.next() {
        let pointer = line
            .strip_prefix("`objects.json` at `")
            .and_then(|rest| rest.strip_suffix("`:"));
        let Some(pointer) = pointer else {
            continue;
        };
        assert_eq!((lines.next(), lines.next()), (Some(""), Some("```text")));
        let code = lines
            .by_ref()
            .take_while(|line| *line != "```")
            .flat_map(|line| line.split('#').next().unwrap().split_whitespace());
        listings.push(Listing {
            bytes: hex::decode(code.collect::<String>()).unwrap(),
            pointer: pointer.to_owned(),
        });
    }
    listings
}

#[test]
fn every_listing_is_its_vector() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/vectors/v1/objects.json")).unwrap();
    for listing in listings() {
        let vector = vectors.pointer(&listing.pointer).unwrap();
        assert_eq!(vector, &hex::encode(&listing.bytes), "{}", listing.pointer);
    }
}

#[test]
fn there_is_a_listing_of_each_kind() {
    let listings = listings();
    let [credential, mapping, removal, release] = &listings[..] else {
        panic!("{} listings", listings.len());
    };
    assert!(SignedCredential::from_bytes(&credential.bytes).is_ok());
    assert!(SignedMapping::from_bytes(&mapping.bytes).is_ok());
    assert!(SignedRemoval::from_bytes(&removal.bytes).is_ok());
    assert!(SignedRelease::from_bytes(&release.bytes).is_ok());
}

#[test]
fn the_schema_names_every_kind() {
    use protocol::cose::ContentType::{Credential, Manifest, Mapping, Release, Removal};
    let schema = include_str!("../../docs/objects.cddl");
    let document = include_str!("../../docs/objects.md");
    for kind in [Credential, Mapping, Removal, Release, Manifest] {
        assert!(schema.contains(&format!("\"{}\"", kind.media_type())));
        assert!(document.contains(&format!("`{}`", kind.media_type())));
    }
}
