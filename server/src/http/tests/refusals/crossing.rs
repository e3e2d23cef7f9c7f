//! What is good for one identifier, key, account or purpose, tried for another.

use protocol::removal::{Release, ReleaseReason};

use super::*;

const OTHER_CSIP: u8 = 10;

/// Two CSIPs: each speaks for the identifiers of one holder.
fn trust() -> String {
    [
        (
            CSIP,
            "csip.example",
            "\"tel:+44\", \"mailto:*@example.com\"",
        ),
        (OTHER_CSIP, "other.example", "\"tel:+1\""),
    ]
    .map(|(seed, issuer, scopes)| {
        let key = key(seed).verifying_key().to_text();
        format!("[[csip]]\nissuer = \"{issuer}\"\nkey = \"{key}\"\nscopes = [{scopes}]\n")
    })
    .concat()
}

/// A release of Ann's identifier.
fn released(issuer: &str, signer: u8) -> Vec<u8> {
    let release = Release {
        issuer: Issuer::new(issuer).unwrap(),
        subject: csi_of(ANN),
        assignment: 2,
        issued_at: at(),
        reason: ReleaseReason::Reassigned,
    };
    release.sign(&key(signer)).unwrap().as_bytes().to_vec()
}

/// A credential for Ann's identifier by whoever signs it.
fn issued(issuer: &str, signer: u8, holder: u8) -> Vec<u8> {
    let forged = Credential {
        issuer: Issuer::new(issuer).unwrap(),
        holder: key(holder).verifying_key(),
        issued_at: at(),
        ..credential(ANN).unverified().clone()
    };
    forged.issue(&key(signer)).unwrap().as_bytes().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_works_for_another_identifier_or_key() {
    let service = Service::new(&trust(), Anns::Held).await;
    let (ann, bob) = (credential(ANN), credential(BOB));
    let (ann, bob) = (ann.as_bytes(), bob.as_bytes());
    let mappings = [ANN, BOB].map(|holder| mapping(holder, 9).as_bytes().to_vec());
    let removals = [ANN, BOB].map(|holder| removal(holder, 9).as_bytes().to_vec());
    let inquiries = [ANN, BOB].map(|holder| service.inquiry(holder).as_bytes().to_vec());
    // Ann's key, Bob's identifier.
    let foreign = Mapping {
        subject: csi_of(BOB),
        ..mapping(ANN, 9).unverified().clone()
    };
    let foreign_mapping = foreign.sign(&key(ANN)).unwrap().as_bytes().to_vec();
    let foreign = Removal {
        subject: csi_of(BOB),
        ..removal(ANN, 9).unverified().clone()
    };
    let foreign_removal = foreign.sign(&key(ANN)).unwrap().as_bytes().to_vec();
    let foreign = Inquiry {
        subject: csi_of(BOB),
        provider: service.provider,
        issued_at: at(),
    };
    let foreign_inquiry = foreign.sign(&key(ANN)).unwrap().as_bytes().to_vec();
    let elsewhere = Inquiry {
        subject: csi_of(ANN),
        provider: key(ANN).verifying_key().key_id(),
        issued_at: at(),
    };
    let elsewhere = elsewhere.sign(&key(ANN)).unwrap().as_bytes().to_vec();
    let unprocessable = ProblemType::UnprocessableObject;
    let mut tries = Vec::new();
    for credential in [ann, bob] {
        tries.push((
            publish(publication(credential, &foreign_mapping)),
            unprocessable,
        ));
        tries.push((remove(pair(credential, &foreign_removal)), unprocessable));
        let asked = look(&pair(credential, &foreign_inquiry));
        tries.push((asked, ProblemType::Unauthorized));
    }
    for (credential, other) in [(ann, 1), (bob, 0)] {
        let published = publish(publication(credential, &mappings[other]));
        tries.push((published, unprocessable));
        let removed = remove(pair(credential, &removals[other]));
        tries.push((removed, unprocessable));
        let asked = look(&pair(credential, &inquiries[other]));
        tries.push((asked, ProblemType::Unauthorized));
    }
    let asked = look(&pair(ann, &elsewhere));
    tries.push((asked, ProblemType::Unauthorized));
    // An object of one kind in the place of another.
    let kinds = [mappings, removals, inquiries].map(|[anns, _]| anns);
    let [a_mapping, a_removal, an_inquiry] = &kinds;
    for wrong in [a_removal.as_slice(), an_inquiry, ann] {
        tries.push((publish(publication(ann, wrong)), unprocessable));
    }
    for wrong in [
        a_mapping.as_slice(),
        an_inquiry,
        &released("csip.example", CSIP),
    ] {
        tries.push((remove(pair(ann, wrong)), unprocessable));
    }
    for wrong in [a_mapping.as_slice(), a_removal] {
        tries.push((look(&pair(ann, wrong)), unprocessable));
        tries.push((release(wrong.to_vec()), unprocessable));
        let record = service.put_record(0, wrong.to_vec());
        tries.push((record, unprocessable));
    }
    let objects = [kinds.as_slice(), &[ann.to_vec(), bob.to_vec()]].concat();
    let objects: Vec<&[u8]> = objects.iter().map(Vec::as_slice).collect();
    for (at, (request, expected)) in tries.into_iter().enumerate() {
        let found = service.refuses(request, &objects, expected).await;
        assert_eq!(found, Ok(()), "try {at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_csip_of_an_identifier_speaks_for_it() {
    let service = Service::new(&trust(), Anns::Held).await;
    let strangers = [
        // The holder, another CSIP, and each under the other's name.
        ("csip.example", ANN),
        ("other.example", OTHER_CSIP),
        ("csip.example", OTHER_CSIP),
        ("other.example", CSIP),
        ("nobody.example", CSIP),
    ];
    for (issuer, signer) in strangers {
        let object = released(issuer, signer);
        let request = release(object.clone());
        let found = service
            .refuses(request, &[&object], ProblemType::Untrusted)
            .await;
        assert_eq!(found, Ok(()), "release of {issuer} by {signer}");
        let object = issued(issuer, signer, BOB);
        let mapping = Mapping {
            subject: csi_of(ANN),
            ..mapping(BOB, 9).unverified().clone()
        };
        let mapping = mapping.sign(&key(BOB)).unwrap();
        let request = publish(publication(&object, mapping.as_bytes()));
        let objects = [object.as_slice(), mapping.as_bytes()];
        let found = service
            .refuses(request, &objects, ProblemType::Untrusted)
            .await;
        assert_eq!(found, Ok(()), "credential of {issuer} by {signer}");
    }
    service
        .accepts(release(released("csip.example", CSIP)))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_record_belongs_to_its_write_key_and_its_account() {
    let service = Service::new(&trust(), Anns::Held).await;
    let (first, theirs) = (record(ANN, 5), record(BOB, 9));
    let theirs = theirs.as_bytes();
    // Under the same handle with another key, whichever account it comes from.
    for account in [0, 1] {
        let request = service.put_record(account, theirs.to_vec());
        let found = service
            .refuses(request, &[theirs], ProblemType::Untrusted)
            .await;
        assert_eq!(found, Ok(()), "account {account}");
    }
    // Her write key in the record, but signed by another.
    let mut forged = record(ANN, 9).as_bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let found = service
        .refuses(
            service.put_record(1, forged.clone()),
            &[&forged],
            ProblemType::UnprocessableObject,
        )
        .await;
    assert_eq!(found, Ok(()));
    // Older, and of the same seq with other content.
    let cases = [
        (record(ANN, 4), ProblemType::Superseded),
        (record(ANN, 5), ProblemType::Equivocation),
    ];
    for (other, expected) in cases {
        assert_ne!(other.as_bytes(), first.as_bytes());
        let request = service.put_record(0, other.as_bytes().to_vec());
        let found = service
            .refuses(request, &[other.as_bytes()], expected)
            .await;
        assert_eq!(found, Ok(()), "{expected:?}");
    }
    // Without an account, or as the holder of an identifier.
    let newer = record(ANN, 9);
    let proof = pair(credential(ANN).as_bytes(), service.inquiry(ANN).as_bytes());
    let authorizations = [
        None,
        Some("Bearer x".to_owned()),
        Some(format!("{HOLDER_SCHEME} {}", URL_SAFE_NO_PAD.encode(proof))),
    ];
    for authorization in authorizations {
        let mut request = service.put_record(0, newer.as_bytes().to_vec());
        request.headers_mut().remove(AUTHORIZATION);
        if let Some(value) = authorization {
            let value = value.parse().unwrap();
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let found = service
            .refuses(request, &[newer.as_bytes()], ProblemType::Unauthorized)
            .await;
        assert_eq!(found, Ok(()));
    }
    // An API key is no proof of a holder.
    let mut request = look(&[]);
    let value = format!("Bearer {}", service.api_keys[0]).parse().unwrap();
    request.headers_mut().insert(AUTHORIZATION, value);
    let key = service.api_keys[0].as_bytes();
    let found = service
        .refuses(request, &[key], ProblemType::Unauthorized)
        .await;
    assert_eq!(found, Ok(()));
    let newer = service.put_record(0, newer.as_bytes().to_vec());
    service.accepts(newer).await;
}
