//! How many records each lookup asks for, and which.
//!
//! Each identifier asks for the same number of records, its *slots*: the public
//! one, then those of the audiences that may apply, then dummies, which are
//! records of audiences that nobody else knows of. All are OPRF inputs and PIR
//! queries alike.

use protocol::audience::{AudienceHandle, AudienceLabel, AudienceSecret};
use protocol::csi::Csi;
use protocol::mapping::Readers;
use protocol::oprf::{BATCH_MAX, OprfInput, OprfOutput};
use rand::CryptoRng;

use crate::cache::Evaluated;
use crate::keyring::{Keyring, Membership};

/// How many records each identifier asks for: 1 to [`SlotCount::MAX`].
///
/// A DP can tell it from the requests, so senders that use the same number are
/// alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotCount(u8);

impl SlotCount {
    /// The public record alone.
    pub const PUBLIC_ONLY: Self = Self(1);

    /// The usual number of a client with a keyring: the public record and
    /// three audiences.
    pub const WITH_KEYRING: Self = Self(4);

    /// Most slots.
    pub const MAX: Self = Self(16);

    /// A number of slots.
    ///
    /// # Errors
    /// [`SlotCountError`].
    pub const fn new(count: u8) -> Result<Self, SlotCountError> {
        if count == 0 || count > Self::MAX.0 {
            return Err(SlotCountError { found: count });
        }
        Ok(Self(count))
    }

    /// The number.
    pub const fn as_usize(self) -> usize {
        self.0 as usize
    }

    /// Identifiers whose slots fit one OPRF batch.
    pub(crate) const fn identifiers_a_batch(self) -> usize {
        BATCH_MAX / self.as_usize()
    }
}

/// No number of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} slots, expected 1 to {max}", max = SlotCount::MAX.0)]
pub struct SlotCountError {
    /// The number given.
    pub found: u8,
}

/// One record that is asked for.
pub(crate) enum Slot {
    /// What the recipient says to everyone.
    Public,
    /// What it says to an audience.
    Audience(AudienceSlot),
}

/// An audience's record for one identifier.
pub(crate) struct AudienceSlot {
    pub(crate) handle: AudienceHandle,
    pub(crate) secret: AudienceSecret,
    /// What the sender calls the audience; `None` for a dummy.
    pub(crate) label: Option<AudienceLabel>,
}

/// Everything that is asked for one identifier.
pub(crate) struct Question {
    pub(crate) csi: Csi,
    pub(crate) slots: Vec<Slot>,
    /// Audiences that may apply and for which no slot was left.
    pub(crate) not_asked: usize,
}

impl Question {
    /// Fills the slots: the public record, the audiences bound to the
    /// identifier, those bound to none, each in the order of the keyring, and
    /// fresh dummies.
    pub(crate) fn new<R: CryptoRng + ?Sized>(
        csi: &Csi,
        keyring: Option<&Keyring>,
        count: SlotCount,
        rng: &mut R,
    ) -> Self {
        let applicable = applicable(csi, keyring);
        let audiences = count.as_usize() - 1;
        let mut slots = Vec::with_capacity(count.as_usize());
        slots.push(Slot::Public);
        slots.extend(applicable.iter().take(audiences).map(|membership| {
            Slot::audience(
                csi,
                membership.secret.clone(),
                Some(membership.label.clone()),
            )
        }));
        slots.resize_with(count.as_usize(), || {
            Slot::audience(csi, AudienceSecret::generate(rng), None)
        });
        Self {
            csi: csi.clone(),
            slots,
            not_asked: applicable.len().saturating_sub(audiences),
        }
    }

    /// The same with the slots that were evaluated for the identifier earlier, and
    /// their outputs. `None` if there is another number of them, or one that
    /// [`new`](Self::new) would fill is missing: then all slots are to be
    /// evaluated, so that the number of elements tells of identifiers alone. A slot
    /// whose audience is not to be asked any more serves as a dummy.
    pub(crate) fn recall(
        csi: &Csi,
        keyring: Option<&Keyring>,
        count: SlotCount,
        evaluated: Evaluated,
    ) -> Option<(Self, Vec<OprfOutput>)> {
        let applicable = applicable(csi, keyring);
        let audiences = count.as_usize() - 1;
        let mut earlier = evaluated.audiences;
        if earlier.len() != audiences {
            return None;
        }
        let (mut slots, mut outputs) = (vec![Slot::Public], vec![evaluated.public]);
        for membership in applicable.iter().take(audiences) {
            let same = |(secret, _): &(AudienceSecret, OprfOutput)| {
                secret.as_bytes() == membership.secret.as_bytes()
            };
            let (secret, output) = earlier.swap_remove(earlier.iter().position(same)?);
            slots.push(Slot::audience(csi, secret, Some(membership.label.clone())));
            outputs.push(output);
        }
        for (secret, output) in earlier {
            slots.push(Slot::audience(csi, secret, None));
            outputs.push(output);
        }
        let question = Self {
            csi: csi.clone(),
            slots,
            not_asked: applicable.len().saturating_sub(audiences),
        };
        Some((question, outputs))
    }

    /// What the OPRF is to evaluate, in the order of the slots.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = OprfInput<'_>> {
        self.slots.iter().map(|slot| match slot {
            Slot::Public => OprfInput::Csi(&self.csi),
            Slot::Audience(audience) => OprfInput::Audience(&audience.handle),
        })
    }
}

/// The audiences that may have a record of an identifier, in the order in which
/// they are asked.
fn applicable<'a>(csi: &Csi, keyring: Option<&'a Keyring>) -> Vec<&'a Membership> {
    let known = keyring.map(Keyring::memberships).unwrap_or_default();
    let bound = known.iter().filter(|known| known.csi.as_ref() == Some(csi));
    let unbound = known.iter().filter(|known| known.csi.is_none());
    bound.chain(unbound).collect()
}

impl Slot {
    /// Whom its mappings must be signed for.
    pub(crate) const fn readers(&self) -> Readers<'_> {
        match self {
            Self::Public => Readers::Everyone,
            Self::Audience(audience) => Readers::Audience(&audience.handle),
        }
    }

    fn audience(csi: &Csi, secret: AudienceSecret, label: Option<AudienceLabel>) -> Self {
        Self::Audience(AudienceSlot {
            handle: AudienceHandle::derive(csi, &secret),
            secret,
            label,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn csi(name: &str) -> Csi {
        Csi::parse(&format!("{name}@example.org")).unwrap()
    }

    fn keyring(memberships: &[(&str, Option<&str>)]) -> Keyring {
        let mut keyring = Keyring::default();
        for (label, bound) in memberships {
            let membership = Membership {
                label: AudienceLabel::new(label).unwrap(),
                secret: AudienceSecret::generate(&mut rand::rng()),
                csi: bound.map(csi),
            };
            keyring.add(membership).unwrap();
        }
        keyring
    }

    fn question(keyring: Option<&Keyring>, slots: u8) -> Question {
        let count = SlotCount::new(slots).unwrap();
        Question::new(&csi("asked"), keyring, count, &mut rand::rng())
    }

    /// Labels in the order of the slots: `-` for the public record, `?` for a
    /// dummy.
    fn labels(question: &Question) -> Vec<&str> {
        let slots = question.slots.iter().map(|slot| match slot {
            Slot::Public => "-",
            Slot::Audience(audience) => audience.label.as_ref().map_or("?", AudienceLabel::as_str),
        });
        slots.collect()
    }

    #[test]
    fn counts_are_bounded() {
        for found in [0, 17, 255] {
            assert_eq!(SlotCount::new(found), Err(SlotCountError { found }));
        }
        assert_eq!(SlotCount::new(1), Ok(SlotCount::PUBLIC_ONLY));
        assert_eq!(SlotCount::new(4), Ok(SlotCount::WITH_KEYRING));
        assert_eq!(SlotCount::new(16), Ok(SlotCount::MAX));
        for (slots, identifiers) in [(1, 1024), (3, 341), (4, 256), (16, 64)] {
            let count = SlotCount::new(slots).unwrap();
            assert_eq!(count.identifiers_a_batch(), identifiers);
        }
    }

    #[test]
    fn bound_audiences_come_first_and_others_are_left_out() {
        let keyring = keyring(&[
            ("any 1", None),
            ("other", Some("other")),
            ("bound 1", Some("asked")),
            ("any 2", None),
            ("bound 2", Some("asked")),
        ]);
        let of = |slots| question(Some(&keyring), slots);
        let all = ["-", "bound 1", "bound 2", "any 1", "any 2", "?"];
        for (slots, not_asked) in [(1, 4), (2, 3), (3, 2), (4, 1), (5, 0), (6, 0)] {
            let question = of(slots);
            assert_eq!(labels(&question), all[..usize::from(slots)]);
            assert_eq!(question.not_asked, not_asked);
        }
    }

    #[test]
    fn dummies_are_fresh() {
        let handles: HashSet<AudienceHandle> = (0..3)
            .flat_map(|_| question(None, 4).slots)
            .filter_map(|slot| match slot {
                Slot::Public => None,
                Slot::Audience(audience) => Some(audience.handle),
            })
            .collect();
        assert_eq!(handles.len(), 9);
        assert_eq!(labels(&question(None, 4)), ["-", "?", "?", "?"]);
        assert_eq!(labels(&question(Some(&keyring(&[])), 1)), ["-"]);
    }

    #[test]
    fn handles_are_those_of_the_identifier() {
        let keyring = keyring(&[("any", None)]);
        let question = question(Some(&keyring), 2);
        let Slot::Audience(audience) = &question.slots[1] else {
            panic!("no audience")
        };
        let secret = &keyring.memberships()[0].secret;
        assert_eq!(
            audience.handle,
            AudienceHandle::derive(&csi("asked"), secret)
        );
    }
}
