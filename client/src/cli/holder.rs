//! Who signs, for which identifier, at which provider.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use client::identity::Identity;
use client::recipient::{
    Recipient, RecipientConfig, after_publication, after_removal, known_before, next_seq,
    now_millis, receipt_head,
};
use client::{ClientConfig, Passphrase};
use dialoguer::Select;
use protocol::bundle::{Bundle, BundleError};
use protocol::cose::SigningKey;
use protocol::credential::SignedCredential;
use protocol::csi::Csi;
use protocol::precedence::Version;
use protocol::time::UnixTime;
use protocol::wire::{Holdings, Receipt, RemovalRequest};

use super::input::{Asked, read_lines};
use super::passphrase::PassphraseArgs;
use super::settings::Settings;
use super::{Connection, Failure, credential, interactive};

/// Which identifier of yours is meant.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SubjectArgs {
    /// Your phone number or e-mail address; may be left out if you hold one
    /// credential only. Other users of this machine may see it while the command
    /// runs: --csi-file keeps it private.
    #[arg(value_name = "CSI")]
    csi: Option<String>,

    /// File with the identifier; - is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "csi")]
    csi_file: Option<PathBuf>,

    /// Region in which a number without country code is dialled, such as DE.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
}

/// Whose key signs, and which provider is asked.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct HolderArgs {
    /// Directory of the identity; without it, that of the configuration file or
    /// ~/.config/sotto/identity.
    #[arg(long, value_name = "DIR")]
    identity: Option<PathBuf>,

    #[command(flatten)]
    passphrase: PassphraseArgs,

    #[command(flatten)]
    connection: Connection,
}

impl SubjectArgs {
    /// The identifier, if one was given.
    ///
    /// # Errors
    /// [`Failure::Usage`] if it is none.
    pub(super) fn csi(&self, region: Option<&str>) -> Result<Option<Csi>, Failure> {
        let text = match (&self.csi, &self.csi_file) {
            (Some(text), _) => text.clone(),
            (None, None) => return Ok(None),
            (None, Some(path)) => {
                let mut lines = read_lines(path).map_err(Failure::Usage)?;
                match (lines.pop(), lines.is_empty()) {
                    (Some(line), true) => line,
                    _ => {
                        return Err(Failure::Usage(anyhow!(
                            "{}: expected one line with an identifier",
                            path.display()
                        )));
                    }
                }
            }
        };
        let region = self.region.as_deref().or(region);
        let csi = Asked::new(&text, region).csi;
        csi.context("CSI").map(Some).map_err(Failure::Usage)
    }
}

impl HolderArgs {
    /// The holder of one credential, its key unlocked.
    ///
    /// # Errors
    /// [`Failure`], by what is missing or of no use.
    pub(super) fn holder(&self, subject: &SubjectArgs) -> Result<Holder, Failure> {
        let (identity, settings) = self.open()?;
        let credential = match subject.csi(settings.region.as_deref())? {
            Some(csi) => identity.credential(&csi)?,
            None => the_one(identity.credentials()?)?,
        };
        usable(&credential, &settings)?;
        let passphrase = self.passphrase.current()?;
        unlock(&identity, &settings, credential, &passphrase)
    }

    /// The holders of all credentials that are of use, or of the one that is
    /// meant.
    ///
    /// # Errors
    /// As [`holder`](Self::holder).
    pub(super) fn holders(&self, subject: &SubjectArgs) -> Result<Vec<Holder>, Failure> {
        let (identity, settings) = self.open()?;
        if let Some(csi) = subject.csi(settings.region.as_deref())? {
            let credential = identity.credential(&csi)?;
            usable(&credential, &settings)?;
            let passphrase = self.passphrase.current()?;
            return Ok(vec![unlock(&identity, &settings, credential, &passphrase)?]);
        }
        let mut credentials = identity.credentials()?;
        let held = credentials.len();
        credentials.retain(|credential| usable(credential, &settings).is_ok());
        match held - credentials.len() {
            0 => {}
            left_out => eprintln!(
                "sotto: {left_out} of {held} credentials are expired or not trusted here and left \
                 out: see `sotto credential list`"
            ),
        }
        if credentials.is_empty() {
            return Err(no_credentials());
        }
        let passphrase = self.passphrase.current()?;
        let holders = credentials
            .into_iter()
            .map(|credential| unlock(&identity, &settings, credential, &passphrase));
        holders.collect()
    }

    fn open(&self) -> Result<(Identity, Settings), Failure> {
        let directory = self
            .connection
            .local()?
            .identity(self.identity.as_deref())?;
        let identity = Identity::open(directory)?;
        Ok((identity, self.connection.settings()?))
    }
}

/// Whether those who look up would believe the credential.
fn usable(credential: &SignedCredential, settings: &Settings) -> Result<(), Failure> {
    let verified = credential.verify(&settings.client.trust, UnixTime::now());
    verified.map(drop).map_err(credential::unusable)
}

fn unlock(
    identity: &Identity,
    settings: &Settings,
    credential: SignedCredential,
    passphrase: &Passphrase,
) -> Result<Holder, Failure> {
    let recipient = Recipient::new(&RecipientConfig::from(&settings.client))?;
    let key = identity.key_of(credential.unverified(), passphrase)?;
    Ok(Holder {
        identity: identity.clone(),
        credential,
        key,
        recipient,
        config: settings.client.clone(),
    })
}

/// Someone who can sign for an identifier, at a provider.
pub(super) struct Holder {
    pub(super) identity: Identity,
    pub(super) credential: SignedCredential,
    pub(super) key: SigningKey,
    pub(super) recipient: Recipient,
    /// The provider, and the keyring.
    pub(super) config: ClientConfig,
}

/// What is held and what is known before a statement is made.
pub(super) struct Before {
    pub(super) held: Holdings,
    pub(super) known: Option<Holdings>,
}

impl Holder {
    /// Asks the provider what it holds.
    ///
    /// # Errors
    /// [`Failure`], if it doesn't say or what is known can't be read.
    pub(super) async fn before(&self) -> Result<Before, Failure> {
        let proof = self.recipient.prove(&self.credential, &self.key)?;
        let held = self.recipient.holdings(&proof).await?;
        let subject = &self.credential.unverified().subject;
        let known = self
            .identity
            .published(self.recipient.provider(), subject)?;
        Ok(Before { held, known })
    }

    /// The version of the next statement.
    ///
    /// # Errors
    /// [`Failure`], if there can be none.
    pub(super) fn next_version(&self, before: &Before) -> Result<Version, Failure> {
        let claims = self.credential.unverified();
        let seq = next_seq(claims, &before.held, before.known.as_ref(), now_millis());
        Ok(Version {
            assignment: claims.assignment,
            seq: seq.map_err(|error| Failure::Run(error.into()))?,
        })
    }

    /// Publishes, and remembers what was accepted.
    ///
    /// # Errors
    /// [`Failure`], if it was not accepted or can't be remembered.
    pub(super) async fn publish(
        &self,
        bundle: &Bundle,
        before: &Before,
    ) -> Result<Receipt, Failure> {
        let receipt = self.recipient.publish(bundle).await?;
        self.remember(before, &receipt, |known| after_publication(known, bundle))?;
        Ok(receipt)
    }

    /// Removes, and remembers what was accepted.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub(super) async fn remove(
        &self,
        request: &RemovalRequest,
        before: &Before,
    ) -> Result<Receipt, Failure> {
        let receipt = self.recipient.remove(request).await?;
        let removal = request.removal.unverified();
        self.remember(before, &receipt, |known| after_removal(known, removal))?;
        Ok(receipt)
    }

    fn remember(
        &self,
        before: &Before,
        receipt: &Receipt,
        after: impl FnOnce(Option<&Holdings>) -> Result<Holdings, BundleError>,
    ) -> Result<(), Failure> {
        let write = || -> anyhow::Result<()> {
            let provider = self.recipient.provider();
            let subject = &self.credential.unverified().subject;
            let known = known_before(&self.credential, &before.held, before.known.as_ref())?;
            let head = receipt_head(receipt);
            if let Some(head) = head.filter(|_| receipt.changed) {
                let mut awaited = self.identity.awaited(provider, subject)?;
                awaited.accept(head.entries, UnixTime::now());
                self.identity.set_awaited(provider, subject, &awaited)?;
            }
            self.identity
                .set_published(provider, subject, &after(known.as_ref())?)?;
            if let Some(head) = head {
                self.identity.add_receipt(provider, head)?;
            }
            Ok(())
        };
        write()
            .context("the provider accepted it, but this could not be remembered here")
            .map_err(Failure::Run)
    }
}

/// The only credential, or the one that is chosen.
fn the_one(mut credentials: Vec<SignedCredential>) -> Result<SignedCredential, Failure> {
    let names: Vec<String> = credentials
        .iter()
        .map(|credential| credential.unverified().subject.canonical().to_owned())
        .collect();
    let at = match credentials.len() {
        0 => return Err(no_credentials()),
        1 => 0,
        _ if interactive() => Select::new()
            .with_prompt("For which identifier")
            .items(&names)
            .default(0)
            .interact()
            .context("cannot ask for the identifier")
            .map_err(Failure::Run)?,
        held => {
            return Err(Failure::Usage(anyhow!(
                "you hold credentials for {held} identifiers: say which one is meant, on the \
                 command line or with --csi-file"
            )));
        }
    };
    Ok(credentials.swap_remove(at))
}

fn no_credentials() -> Failure {
    Failure::Run(anyhow!(
        "you hold no credentials: get one with `sotto credential request` or `sotto credential \
         import`"
    ))
}
