//! Codes that were sent and not used yet. In memory alone: after a restart a
//! holder asks for another.
//!
//! A code has eight digits, may be tried five times and sent five times within
//! an hour (see [`VerificationPolicy`]): whoever guesses has 25 of 10⁸ codes an
//! hour, one chance in four million.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::cose::VerifyingKey;
use protocol::credential::CredentialRequest;
use protocol::csi::Csi;
use protocol::time::UnixTime;
use protocol::wire::csip::{Code, VerificationId};

use super::config::VerificationPolicy;

/// The verifications under way.
#[derive(Debug, Default)]
pub(super) struct Verifications {
    pending: Mutex<HashMap<VerificationId, Pending>>,
}

/// What a right code stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verified {
    pub(super) subject: Csi,
    pub(super) holder: VerifyingKey,
    /// The assignment that the identifier had, or was about to get, when the
    /// code was sent.
    pub(super) admitted: u64,
}

#[derive(Debug)]
struct Pending {
    verified: Verified,
    code: Code,
    attempts_left: u32,
    expires: UnixTime,
}

/// Why a code is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerificationError {
    /// It is another one.
    #[error("the code is wrong; {attempts_left} more may be tried")]
    WrongCode {
        /// How many more may be tried; 1 at least.
        attempts_left: u32,
    },
    /// The verification was used, took too long or was failed too often, or
    /// never was.
    #[error("the verification has ended: ask for another code")]
    Ended,
}

impl Verifications {
    /// A fresh code for the key and identifier of a request that was verified.
    pub(super) fn begin(
        &self,
        request: &CredentialRequest,
        admitted: u64,
        policy: &VerificationPolicy,
        now: UnixTime,
    ) -> (VerificationId, Code) {
        let mut rng = rand::rng();
        let (id, code) = (VerificationId::generate(&mut rng), Code::generate(&mut rng));
        let pending = Pending {
            verified: Verified {
                subject: request.subject.clone(),
                holder: request.holder.clone(),
                admitted,
            },
            code: code.clone(),
            attempts_left: policy.attempts,
            expires: now.saturating_add(policy.code_seconds),
        };
        let mut all = self.lock();
        all.retain(|_, pending| now < pending.expires);
        all.insert(id, pending);
        (id, code)
    }

    /// Ends a verification whose code could not be delivered.
    pub(super) fn abandon(&self, id: &VerificationId) {
        self.lock().remove(id);
    }

    /// Tries a code, once. The right one ends the verification, and so does the
    /// last wrong one.
    ///
    /// # Errors
    /// [`VerificationError`].
    pub(super) fn redeem(
        &self,
        id: &VerificationId,
        code: &Code,
        now: UnixTime,
    ) -> Result<Verified, VerificationError> {
        let mut all = self.lock();
        let mut pending = all.remove(id).ok_or(VerificationError::Ended)?;
        if now >= pending.expires {
            return Err(VerificationError::Ended);
        }
        if pending.code.matches(code) {
            return Ok(pending.verified);
        }
        pending.attempts_left = pending.attempts_left.saturating_sub(1);
        let attempts_left = pending.attempts_left;
        if attempts_left == 0 {
            return Err(VerificationError::Ended);
        }
        all.insert(*id, pending);
        Err(VerificationError::WrongCode { attempts_left })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<VerificationId, Pending>> {
        // Nothing panics while it is held.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use protocol::cose::SigningKey;
    use protocol::credential::Issuer;

    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_795_392_000);

    fn request(holder: u8) -> CredentialRequest {
        CredentialRequest {
            subject: Csi::parse("+442079460000").unwrap(),
            issuer: Issuer::new("csip.example").unwrap(),
            holder: SigningKey::from_seed(&[holder; 32]).verifying_key(),
            issued_at: NOW,
        }
    }

    fn begin(all: &Verifications, holder: u8) -> (VerificationId, Code) {
        all.begin(&request(holder), 3, &VerificationPolicy::default(), NOW)
    }

    fn other_than(code: &Code) -> Code {
        let last = if code.as_str().ends_with('0') {
            '1'
        } else {
            '0'
        };
        Code::parse(&format!("{}{last}", &code.as_str()[..7])).unwrap()
    }

    #[test]
    fn the_right_code_is_good_once_and_for_what_it_was_sent() {
        let all = Verifications::default();
        let ((one, one_code), (two, two_code)) = (begin(&all, 1), begin(&all, 2));
        let verified = all.redeem(&one, &one_code, NOW).unwrap();
        assert_eq!(verified.holder, request(1).holder);
        assert_eq!(verified.subject, request(1).subject);
        assert_eq!(verified.admitted, 3);
        assert_eq!(
            all.redeem(&one, &one_code, NOW),
            Err(VerificationError::Ended)
        );
        // One code in 10⁸ would be right for both.
        assert!(all.redeem(&two, &one_code, NOW).is_err());
        assert_eq!(
            all.redeem(&two, &two_code, NOW).unwrap().holder,
            request(2).holder
        );
    }

    #[test]
    fn wrong_codes_are_counted_and_the_last_one_ends_it() {
        let all = Verifications::default();
        let (id, code) = begin(&all, 1);
        let wrong = other_than(&code);
        for attempts_left in [4, 3, 2, 1] {
            assert_eq!(
                all.redeem(&id, &wrong, NOW),
                Err(VerificationError::WrongCode { attempts_left })
            );
        }
        assert_eq!(all.redeem(&id, &wrong, NOW), Err(VerificationError::Ended));
        assert_eq!(all.redeem(&id, &code, NOW), Err(VerificationError::Ended));

        let (id, code) = begin(&all, 1);
        let wrong = other_than(&code);
        for _ in 0..4 {
            all.redeem(&id, &wrong, NOW).unwrap_err();
        }
        assert!(all.redeem(&id, &code, NOW).is_ok());
    }

    #[test]
    fn codes_expire_and_can_be_given_up() {
        let all = Verifications::default();
        let end = NOW.saturating_add(600);
        let (id, code) = begin(&all, 1);
        assert_eq!(all.redeem(&id, &code, end), Err(VerificationError::Ended));
        let (id, code) = begin(&all, 1);
        assert!(all.redeem(&id, &code, end.saturating_sub(1)).is_ok());
        let (id, code) = begin(&all, 1);
        all.abandon(&id);
        assert_eq!(all.redeem(&id, &code, NOW), Err(VerificationError::Ended));
        // What expired does not stay.
        begin(&all, 1);
        all.begin(&request(1), 3, &VerificationPolicy::default(), end);
        assert_eq!(all.lock().len(), 1);
    }

    #[test]
    fn nothing_of_a_verification_is_shown() {
        let all = Verifications::default();
        let (id, code) = begin(&all, 1);
        let shown = format!("{all:?}");
        assert!(!shown.contains("7946") && !shown.contains(code.as_str()));
        assert!(!shown.contains(&id.to_string()));
    }
}
