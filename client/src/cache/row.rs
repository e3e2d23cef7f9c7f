//! What is kept of one identifier, and of the last manifest.

use protocol::audience::AudienceSecret;
use protocol::log::{LogHash, TreeHead};
use protocol::manifest::ManifestPin;
use protocol::merkle::Hash;
use protocol::oprf::{OprfOutput, OprfPublicKey};
use zeroize::Zeroizing;

const SLOT_BYTES: usize = AudienceSecret::BYTES + OprfOutput::BYTES;

/// The evaluations of all slots of one identifier.
#[derive(Clone)]
pub(crate) struct Evaluated {
    /// Of the public record.
    pub(crate) public: OprfOutput,
    /// Of the other slots, audiences and dummies alike.
    pub(crate) audiences: Vec<(AudienceSecret, OprfOutput)>,
}

impl Evaluated {
    /// `public output, then secret ‖ output of each other slot`.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let length = OprfOutput::BYTES + self.audiences.len() * SLOT_BYTES;
        // Of its final size at once: growing would leave copies behind.
        let mut plain = Zeroizing::new(Vec::with_capacity(length));
        plain.extend_from_slice(self.public.as_bytes());
        for (secret, output) in &self.audiences {
            plain.extend_from_slice(secret.as_bytes());
            plain.extend_from_slice(output.as_bytes());
        }
        plain
    }

    pub(super) fn decode(plain: &[u8]) -> Option<Self> {
        let (public, rest) = plain.split_first_chunk()?;
        let (slots, rest) = rest.as_chunks::<SLOT_BYTES>();
        if !rest.is_empty() {
            return None;
        }
        let slot = |slot: &[u8; SLOT_BYTES]| {
            let (secret, output) = slot.split_first_chunk()?;
            let output = output.try_into().ok()?;
            Some((
                AudienceSecret::from_bytes(*secret),
                OprfOutput::from_bytes(output),
            ))
        };
        Some(Self {
            public: OprfOutput::from_bytes(*public),
            audiences: slots.iter().map(slot).collect::<Option<_>>()?,
        })
    }
}

/// `sequence u64 BE ‖ digest ‖ OPRF epoch u64 BE ‖ OPRF key`, then, if the end of
/// the log is known, `size u64 BE ‖ root`.
pub(super) fn encode_pin(pin: &ManifestPin) -> Vec<u8> {
    let mut bytes = [
        &pin.sequence.to_be_bytes()[..],
        pin.digest.as_bytes(),
        &pin.oprf_epoch.to_be_bytes(),
        pin.oprf_key.as_bytes(),
    ]
    .concat();
    if let Some(head) = &pin.log {
        bytes.extend_from_slice(&head.size.to_be_bytes());
        bytes.extend_from_slice(head.root.as_bytes());
    }
    bytes
}

pub(super) fn decode_pin(bytes: &[u8]) -> Option<ManifestPin> {
    let (sequence, rest) = bytes.split_first_chunk()?;
    let (digest, rest) = rest.split_first_chunk()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (key, rest) = rest.split_first_chunk::<32>()?;
    let log = match rest.split_first_chunk() {
        // Kept by a version that didn't know the log.
        None if rest.is_empty() => None,
        None => return None,
        Some((size, root)) => Some(TreeHead {
            size: u64::from_be_bytes(*size),
            root: LogHash::from_bytes(root.try_into().ok()?),
        }),
    };
    Some(ManifestPin {
        sequence: u64::from_be_bytes(*sequence),
        digest: Hash::from_bytes(*digest),
        oprf_epoch: u64::from_be_bytes(*epoch),
        oprf_key: OprfPublicKey::from_bytes(key).ok()?,
        log,
    })
}
