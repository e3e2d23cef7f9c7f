use super::*;
use crate::credential::tests::{ISSUED, SUBJECT, csip, example as credential, holder};
use crate::csi::Csi;
use crate::inquiry::Inquiry;
use crate::removal::{Removal, RemovalTarget};

fn signed_credential() -> SignedCredential {
    credential().issue(&csip()).unwrap()
}

fn removal() -> RemovalRequest {
    let removal = Removal {
        subject: Csi::parse(SUBJECT).unwrap(),
        target: RemovalTarget::All,
        seq: 7,
        issued_at: ISSUED,
        assignment: 2,
    };
    RemovalRequest {
        credential: signed_credential(),
        removal: removal.sign(&holder()).unwrap(),
    }
}

fn proof() -> HolderProof {
    let inquiry = Inquiry {
        subject: Csi::parse(SUBJECT).unwrap(),
        provider: csip().verifying_key().key_id(),
        issued_at: ISSUED,
    };
    HolderProof {
        credential: signed_credential(),
        inquiry: inquiry.sign(&holder()).unwrap(),
    }
}

#[test]
fn removals_round_trip_and_nothing_else_is_read() {
    let bytes = removal().encode();
    let read = RemovalRequest::decode(&bytes).unwrap();
    assert_eq!(read.encode(), bytes);
    for end in 0..bytes.len() {
        assert!(RemovalRequest::decode(&bytes[..end]).is_err(), "{end}");
    }
    let swapped = encode_pair(removal().removal.as_bytes(), signed_credential().as_bytes());
    assert!(matches!(
        RemovalRequest::decode(&swapped),
        Err(HolderMessageError::Credential(_))
    ));
    let three = cbor::encode(&Value::Array(vec![Value::Bool(true); 3])).unwrap();
    assert_eq!(
        RemovalRequest::decode(&three).map(drop),
        Err(HolderMessageError::Structure)
    );
    let long = vec![0; RemovalRequest::BYTES_MAX + 1];
    assert!(matches!(
        RemovalRequest::decode(&long),
        Err(HolderMessageError::TooLong { .. })
    ));
}

#[test]
fn proofs_are_a_header_of_their_own_scheme() {
    let value = proof().to_authorization();
    let read = HolderProof::from_authorization(value.as_bytes()).unwrap();
    assert_eq!(read.to_authorization(), value);
    let lower = value.replacen(HOLDER_SCHEME, "sotto-holder", 1);
    assert!(HolderProof::from_authorization(lower.as_bytes()).is_ok());
    for wrong in [
        "",
        "Bearer abc",
        "Sotto-Holder",
        "Sotto-Holder \u{e9}",
        "Sotto-Holderx",
    ] {
        assert_eq!(
            HolderProof::from_authorization(wrong.as_bytes()).map(drop),
            Err(HolderMessageError::Authorization),
            "{wrong}"
        );
    }
    // A removal is no inquiry.
    let removal = encode_pair(signed_credential().as_bytes(), removal().removal.as_bytes());
    let value = format!("{HOLDER_SCHEME} {}", URL_SAFE_NO_PAD.encode(removal));
    assert!(matches!(
        HolderProof::from_authorization(value.as_bytes()),
        Err(HolderMessageError::Inquiry(_))
    ));
}

#[test]
fn holdings_are_a_floor_and_perhaps_a_bundle() {
    let floor = Version {
        assignment: 2,
        seq: u64::MAX,
    };
    let bundle = Bundle::new(signed_credential(), Vec::new()).unwrap();
    for bundle in [None, Some(bundle)] {
        let bytes = Holdings { floor, bundle }.encode();
        let read = Holdings::decode(&bytes).unwrap();
        assert_eq!(read.floor, floor);
        assert_eq!(read.encode(), bytes);
        for end in 0..bytes.len() {
            assert!(Holdings::decode(&bytes[..end]).is_err(), "{end}");
        }
    }
    let integer = |n: u64| Value::Integer(n.into());
    for last in [
        Value::Bool(true),
        Value::Array(vec![Value::Bool(true)]),
        Value::Array(vec![Value::Bytes(Vec::new()); 2]),
    ] {
        let bytes = cbor::encode(&Value::Array(vec![integer(1), integer(1), last])).unwrap();
        assert_eq!(
            Holdings::decode(&bytes).map(drop),
            Err(HolderMessageError::Structure)
        );
    }
}
