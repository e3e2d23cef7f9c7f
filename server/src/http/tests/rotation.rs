//! Requests before, during and after a rotation of the OPRF key.

use std::fs;

use protocol::csi::Csi;
use protocol::manifest::Manifest;
use protocol::oprf::OprfOutput;

use super::*;
use crate::fixture::Provider;
use crate::rebuild::{Rebuilder, When};

/// A provider of its own, and its service.
struct Service {
    provider: Provider,
    rebuilder: Rebuilder,
    state: Arc<AppState>,
}

impl Service {
    fn start() -> Self {
        let provider = Provider::new(40);
        let config = Config {
            quota: crate::quotas::Quotas::WIDE,
            ..Config::default()
        };
        let state = AppState::open(
            &provider.data,
            &config,
            Arc::clone(&provider.store),
            Arc::clone(&provider.ledger),
        )
        .unwrap();
        let rebuilder = Rebuilder::new(provider.data.clone(), config, Arc::clone(&state));
        Self {
            provider,
            rebuilder,
            state,
        }
    }

    /// The manifest that a client gets.
    async fn manifest(&self) -> Manifest {
        let response = ask(&self.state, get_request(wire::MANIFEST_PATH)).await;
        let signed = SignedManifest::from_bytes(&body(response).await).unwrap();
        let key = self.provider.data.provider_public_key().unwrap();
        signed.verify(&key, UnixTime::now()).unwrap().clone()
    }

    async fn respond(&self, epoch: u64, batch: &BlindedBatch) -> Response<Body> {
        let request = OprfRequest {
            epoch,
            elements: batch.elements().to_vec(),
        };
        let key = self.provider.api_key.as_str();
        let request = Request::post(wire::OPRF_PATH)
            .header(AUTHORIZATION, format!("Bearer {key}"))
            .header(CONTENT_TYPE, media::CBOR)
            .body(Body::from(request.encode()))
            .unwrap();
        ask(&self.state, request).await
    }

    /// What a client with this manifest gets for identifiers, verified.
    async fn evaluate(&self, manifest: &Manifest, csis: &[Csi]) -> Vec<OprfOutput> {
        let batch = BlindedBatch::blind(csis, &mut rand::rng()).unwrap();
        let response = self.respond(manifest.oprf_epoch, &batch).await;
        assert_eq!(response.status(), StatusCode::OK);
        let response = OprfResponse::decode(&body(response).await).unwrap();
        assert_eq!(response.epoch, manifest.oprf_epoch);
        batch
            .finalize(&response.evaluation, &manifest.oprf_key)
            .unwrap()
    }

    /// The problem type that a client of this manifest gets instead.
    async fn refusal(&self, manifest: &Manifest) -> ProblemType {
        let csi = &self.provider.records[0].csi;
        let batch = BlindedBatch::blind([csi], &mut rand::rng()).unwrap();
        problem(self.respond(manifest.oprf_epoch, &batch).await)
            .await
            .kind
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_keys_evaluate_until_the_former_one_retires() {
    let service = Service::start();
    let keys = service
        .provider
        .data
        .oprf_key_dir(&service.provider.data.config().unwrap())
        .unwrap();
    let csis: Vec<Csi> = service.provider.records[..2]
        .iter()
        .map(|record| record.csi.clone())
        .collect();
    let first = service.manifest().await;
    let before = service.evaluate(&first, &csis).await;

    // Made, not published: clients have the first manifest.
    keys.rotate(Some(&first), UnixTime::now(), false).unwrap();
    assert_eq!(service.manifest().await, first);
    service.evaluate(&first, &csis).await;

    service.rebuilder.run(When::Now).unwrap();
    let second = service.manifest().await;
    assert_eq!((first.oprf_epoch, second.oprf_epoch), (1, 2));
    let after = service.evaluate(&second, &csis).await;
    let still = service.evaluate(&first, &csis).await;
    for at in 0..csis.len() {
        assert_eq!(still[at].as_bytes(), before[at].as_bytes());
        assert_ne!(after[at].as_bytes(), before[at].as_bytes());
    }
    // The largest batch, on the threads for those.
    let many: Vec<Csi> = (0..protocol::oprf::BATCH_MAX)
        .map(|n| Csi::parse(&format!("user{n}@example.org")).unwrap())
        .collect();
    for manifest in [&first, &second] {
        let outputs = service.evaluate(manifest, &many).await;
        let ring = service.state.oprf_keys();
        let key = ring.live(manifest.oprf_epoch, UnixTime::now()).unwrap();
        for at in [0, 500, 1023] {
            let direct = key.evaluate(&many[at]).unwrap();
            assert_eq!(outputs[at].as_bytes(), direct.as_bytes());
        }
    }
    // Neither passes for the other.
    let batch = BlindedBatch::blind(&csis, &mut rand::rng()).unwrap();
    let response = body(service.respond(1, &batch).await).await;
    let response = OprfResponse::decode(&response).unwrap();
    assert!(
        batch
            .finalize(&response.evaluation, &second.oprf_key)
            .is_err()
    );

    // The last manifest of the first epoch has expired.
    let notes = service.provider.data.keys_path().join("oprf/epochs.toml");
    let text = fs::read_to_string(&notes).unwrap();
    let retires = first.expires_at.to_string();
    assert!(text.contains(&retires), "{text}");
    fs::write(&notes, text.replace(&retires, "2026-01-01T00:00:00Z")).unwrap();
    service.rebuilder.run(When::Due).unwrap();
    assert_eq!(service.refusal(&first).await, ProblemType::OprfEpochUnknown);
    service.evaluate(&second, &csis).await;
    for epoch in [0, 3, u64::MAX] {
        let manifest = Manifest {
            oprf_epoch: epoch,
            ..second.clone()
        };
        let refusal = service.refusal(&manifest).await;
        assert_eq!(refusal, ProblemType::OprfEpochUnknown, "{epoch}");
    }
}
