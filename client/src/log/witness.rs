//! Witnesses: others who saw the same log.

use protocol::log::{LogError, NoteKey, SignatureKind, SignedCheckpoint};

use super::LogRefusal;

/// The witnesses that a client knows, and how many of them must have seen a log
/// before it is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witnesses {
    keys: Vec<NoteKey>,
    quorum: usize,
}

/// Why witnesses can't be required.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// Not a witness's key.
    #[error("expected a witness's key: its name, +, eight digits, + and base64 that begins with B")]
    Key(#[source] LogError),
    /// One key is there twice: it would count twice.
    #[error("a witness is listed twice")]
    Twice,
    /// More must have signed than there are, or none of those that there are.
    #[error("a quorum of {quorum} of {known} witnesses")]
    Quorum {
        /// How many must.
        quorum: usize,
        /// How many there are.
        known: usize,
    },
}

impl Witnesses {
    /// Witnesses by their keys (`name+id+key`), of which `quorum` must have signed.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn new<K: AsRef<str>>(keys: &[K], quorum: usize) -> Result<Self, WitnessError> {
        let mut parsed: Vec<NoteKey> = Vec::new();
        for key in keys {
            let key: NoteKey = key.as_ref().parse().map_err(WitnessError::Key)?;
            if key.kind() != SignatureKind::Cosignature {
                return Err(WitnessError::Key(LogError::Key));
            }
            if parsed.iter().any(|known| known.is_same_key(&key)) {
                return Err(WitnessError::Twice);
            }
            parsed.push(key);
        }
        let known = parsed.len();
        // None of some would read as if they were heeded.
        if quorum > known || (quorum == 0 && known > 0) {
            return Err(WitnessError::Quorum { quorum, known });
        }
        Ok(Self {
            keys: parsed,
            quorum,
        })
    }

    /// Refuses a checkpoint that too few have signed.
    pub(crate) fn require(&self, checkpoint: &SignedCheckpoint) -> Result<(), LogRefusal> {
        let found = checkpoint.witnessed_by(&self.keys)?;
        let quorum = self.quorum;
        if found < quorum {
            return Err(LogRefusal::Witnesses { found, quorum });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use protocol::cose::SigningKey;
    use protocol::log::{LogHash, TreeHead};

    use super::*;

    #[test]
    fn a_quorum_of_distinct_witnesses_must_have_signed() {
        let names = ["w.example/1", "w.example/2"];
        let keys = [11, 12].map(|seed| SigningKey::from_seed(&[seed; 32]));
        let witness = |at: usize, kind| {
            let key = NoteKey::new(names[at], kind, keys[at].verifying_key()).unwrap();
            key.to_string()
        };
        let known = [0, 1].map(|at| witness(at, SignatureKind::Cosignature));
        let head = TreeHead {
            size: 1,
            root: LogHash::of_leaf(b"manifest"),
        };
        let mut checkpoint =
            SignedCheckpoint::sign(head, &SigningKey::from_seed(&[1; 32])).unwrap();
        let required = |quorum| Witnesses::new(&known, quorum).unwrap();
        let none = Witnesses::new(&known, 0);
        let refused = WitnessError::Quorum {
            quorum: 0,
            known: 2,
        };
        assert_eq!(none, Err(refused));
        assert_eq!(Witnesses::new::<&str>(&[], 0), Ok(Witnesses::default()));
        assert_eq!(Witnesses::default().require(&checkpoint), Ok(()));
        for signed in 0..2 {
            let refused = required(signed + 1).require(&checkpoint);
            assert_eq!(
                refused,
                Err(LogRefusal::Witnesses {
                    found: signed,
                    quorum: signed + 1
                })
            );
            let line = checkpoint.note().cosign(names[signed], &keys[signed], 7);
            let known: Vec<NoteKey> = known.iter().map(|key| key.parse().unwrap()).collect();
            checkpoint.attach(line.unwrap(), &known).unwrap();
            assert_eq!(required(signed + 1).require(&checkpoint), Ok(()));
        }

        let text = witness(0, SignatureKind::Text);
        assert!(matches!(
            Witnesses::new(&[text], 1),
            Err(WitnessError::Key(_))
        ));
        let twice = [known[0].clone(), known[0].clone()];
        assert_eq!(Witnesses::new(&twice, 1), Err(WitnessError::Twice));
        assert_eq!(
            Witnesses::new(&known, 3),
            Err(WitnessError::Quorum {
                quorum: 3,
                known: 2
            })
        );
    }
}
