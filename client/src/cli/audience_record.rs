//! What only the members of an audience are told.
//!
//! The provider is asked nothing first and nothing is remembered: it does not
//! learn whose record it gets, nor for whom.

use anyhow::anyhow;
use client::Membership;
use client::recipient::{Draft, now_millis};
use protocol::audience::{
    AudienceError, AudienceHandle, AudienceLabel, LabelError, MAX_VALIDITY_SECS,
    SignedAudienceRecord, Term, removal_record, seal_record,
};
use protocol::bundle::Bundle;
use protocol::mapping::{MappingId, Readers};
use protocol::precedence::Version;
use protocol::time::UnixTime;

use super::holder::Holder;
use super::publish::confirmed;
use super::receipt::WaitArgs;
use super::{Failure, Outcome};

/// Seals a mapping for an audience and publishes it in the place of what the
/// audience was told before.
///
/// # Errors
/// [`Failure`], if it was not accepted.
pub(super) async fn publish(
    holder: &Holder,
    label: &AudienceLabel,
    draft: Draft,
    yes: bool,
    wait: WaitArgs,
) -> Result<Outcome, Failure> {
    let membership = membership(holder, label)?;
    let (now, seq) = (UnixTime::now(), now_millis());
    let credential = holder.credential.unverified();
    let subject = &credential.subject;
    let version = Version {
        assignment: credential.assignment,
        seq,
    };
    let fresh = MappingId(rand::random());
    let mapping = draft.into_mapping(subject.clone(), version, fresh, now);
    eprintln!("for the audience {label} alone:");
    if !confirmed(&mapping, credential, yes)? {
        return Ok(Outcome::Incomplete);
    }
    let handle = AudienceHandle::derive(subject, &membership.secret);
    let signed = mapping
        .sign_for(&holder.key, Readers::Audience(&handle))
        .map_err(|error| Failure::Usage(anyhow!(error)))?;
    let bundle = Bundle::new(holder.credential.clone(), vec![signed])
        .map_err(|error| Failure::Run(anyhow!(error)))?;
    let latest = now.saturating_add(MAX_VALIDITY_SECS);
    let term = Term {
        seq,
        issued_at: now,
        // As late as can be: no later record may expire before this one. Until
        // when the mapping holds, it says itself.
        expires: latest,
    };
    let secret = &membership.secret;
    let record = seal_record(
        &holder.key,
        subject,
        secret,
        &bundle,
        term,
        &mut rand::rng(),
    );
    hand_in(holder, record, wait).await
}

/// Takes back what an audience was told.
///
/// # Errors
/// As [`publish`].
pub(super) async fn remove(
    holder: &Holder,
    label: &AudienceLabel,
    wait: WaitArgs,
) -> Result<Outcome, Failure> {
    let membership = membership(holder, label)?;
    let now = UnixTime::now();
    let term = Term {
        seq: now_millis(),
        issued_at: now,
        // Until then an older record is refused; none lives longer.
        expires: now.saturating_add(MAX_VALIDITY_SECS),
    };
    let subject = &holder.credential.unverified().subject;
    let record = removal_record(&holder.key, subject, &membership.secret, term);
    hand_in(holder, record, wait).await
}

/// For clap: the label of an audience.
pub(super) fn label(text: &str) -> Result<AudienceLabel, LabelError> {
    AudienceLabel::new(text)
}

async fn hand_in(
    holder: &Holder,
    record: Result<SignedAudienceRecord, AudienceError>,
    wait: WaitArgs,
) -> Result<Outcome, Failure> {
    let record = record.map_err(|error| Failure::Run(anyhow!(error)))?;
    let Some(api_key) = &holder.config.api_key else {
        return Err(Failure::Usage(anyhow!(
            "a record for an audience needs an account at the provider: give --api-key-file"
        )));
    };
    let recipient = &holder.recipient;
    let receipt = recipient
        .put_audience_record(record.as_bytes(), api_key)
        .await?;
    wait.report(recipient, &receipt).await?;
    Ok(Outcome::Complete)
}

/// The audience of this name, if the identifier may have records for it.
fn membership<'a>(holder: &'a Holder, label: &AudienceLabel) -> Result<&'a Membership, Failure> {
    let keyring = holder.config.keyring.as_ref();
    let membership = keyring
        .and_then(|keyring| keyring.find(label))
        .ok_or_else(|| {
            Failure::Usage(anyhow!(
                "your keyring has no audience of this label: `sotto audience list` shows them, \
                 `sotto audience new` begins one"
            ))
        })?;
    let subject = &holder.credential.unverified().subject;
    if membership.csi.as_ref().is_some_and(|csi| csi != subject) {
        return Err(Failure::Usage(anyhow!(
            "this audience is for what another identifier publishes: its members would not look \
             for yours"
        )));
    }
    Ok(membership)
}
