//! Every object of `tests/vectors/v1/invalid.json`, in each message that
//! carries its kind and with everything else in order.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vectors {
    verify_at: String,
    trust_list: String,
    credentials: std::collections::BTreeMap<String, String>,
    invalid: Vec<Invalid>,
}

#[derive(Deserialize)]
struct Invalid {
    name: String,
    kind: String,
    hex: String,
    error: String,
    credential: Option<String>,
}

fn vectors() -> Vectors {
    let text = include_str!("../../../../../tests/vectors/v1/invalid.json");
    let vectors: Vectors = serde_json::from_str(text).unwrap();
    assert_eq!(UnixTime::parse_rfc3339(&vectors.verify_at), Ok(at()));
    vectors
}

impl Vectors {
    /// The valid credential that a mapping or removal is checked with.
    fn credential(&self, vector: &Invalid) -> Vec<u8> {
        let name = vector.credential.as_ref().unwrap();
        hex::decode(&self.credentials[name]).unwrap()
    }

    /// The requests that carry an object; none for a kind that no request does.
    fn requests(&self, service: &Service, vector: &Invalid) -> Vec<Request<Body>> {
        let object = hex::decode(&vector.hex).unwrap();
        match vector.kind.as_str() {
            "credential" => {
                let published = publish(publication(&object, mapping(ANN, 6).as_bytes()));
                let others = [
                    remove(pair(&object, removal(ANN, 6).as_bytes())),
                    look(&pair(&object, service.inquiry(ANN).as_bytes())),
                ];
                [published].into_iter().chain(others).collect()
            }
            "mapping" => vec![publish(publication(&self.credential(vector), &object))],
            "bundle" => vec![publish(object)],
            "removal" => vec![remove(pair(&self.credential(vector), &object))],
            "release" => vec![release(object)],
            // A provider makes manifests and takes none.
            "manifest" => Vec::new(),
            other => panic!("unknown kind {other}"),
        }
    }
}

fn expected(vector: &Invalid) -> ProblemType {
    let starts = |with: &str| vector.error.split('.').next() == Some(with);
    match vector.kind.as_str() {
        _ if starts("Untrusted") => ProblemType::Untrusted,
        // The whole body is too long, and not read.
        "release" if starts("TooLarge") => ProblemType::PayloadTooLarge,
        "bundle" if ["Cbor", "Shape", "Version"].into_iter().any(starts) => {
            ProblemType::MalformedRequest
        }
        _ => ProblemType::UnprocessableObject,
    }
}

async fn all_are_refused(anns: Anns) {
    let vectors = vectors();
    let service = Service::new(&vectors.trust_list, anns).await;
    let (mut tried, mut skipped, mut wrong) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for vector in &vectors.invalid {
        let object = hex::decode(&vector.hex).unwrap();
        let mut requests = vectors.requests(&service, vector);
        // Whose key is held may look and remove after the credential's end.
        if anns == Anns::Held && vector.kind == "credential" && vector.error == "Expired" {
            requests.truncate(1);
        }
        if requests.is_empty() {
            skipped.insert(vector.kind.as_str());
        } else {
            tried.insert(vector.name.as_str());
        }
        for request in requests {
            let mut expected = expected(vector);
            if request.method() == Method::DELETE && expected == ProblemType::Untrusted {
                match SignedCredential::from_bytes(&object) {
                    // The removal, which is Ann's, is looked at first.
                    Ok(other) if other.unverified().subject != csi_of(ANN) => {
                        expected = ProblemType::UnprocessableObject;
                    }
                    // Nor needs the key that is held anybody's trust to remove.
                    _ if anns == Anns::Held => continue,
                    _ => {}
                }
            }
            let line = format!("{} {}: {}", request.method(), request.uri(), vector.name);
            let found = service.refuses(request, &[&object], expected).await;
            wrong.extend(found.err().map(|why| format!("{line}: {why}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(skipped, BTreeSet::from(["manifest"]));
    assert!(tried.len() > 300, "{}", tried.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_objects_change_nothing_that_is_held() {
    all_are_refused(Anns::Held).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_objects_leave_no_trace_of_an_unknown_identifier() {
    all_are_refused(Anns::Unknown).await;
}

/// Otherwise the objects could be refused for what is around them.
#[tokio::test(flavor = "multi_thread")]
async fn everything_around_the_invalid_objects_is_in_order() {
    let vectors = vectors();
    let service = Service::new(&vectors.trust_list, Anns::Held).await;
    let eddsa = hex::decode(&vectors.credentials["EdDSA"]).unwrap();
    assert_eq!(credential(ANN).as_bytes(), eddsa);
    let looked = look(&pair(&eddsa, service.inquiry(ANN).as_bytes()));
    service.accepts(looked).await;
    let published = publish(publication(&eddsa, mapping(ANN, 6).as_bytes()));
    service.accepts(published).await;
    let removed = remove(pair(&eddsa, removal(ANN, 6).as_bytes()));
    service.accepts(removed).await;
    let es256 = hex::decode(&vectors.credentials["ES256"]).unwrap();
    let of_another_key = SignedCredential::from_bytes(&es256).unwrap();
    let service = Service::new(&vectors.trust_list, Anns::Unknown).await;
    let published = Bundle::new(of_another_key, Vec::new()).unwrap();
    service.accepts(publish(published.encode().to_vec())).await;
}
