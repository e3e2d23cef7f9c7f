//! `sotto identity`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use client::durable::{self, PRIVATE};
use client::identity::Identity;
use client::{KeyFile, Passphrase};
use protocol::cose::{SigningKey, VerifyingKey};
use protocol::time::UnixTime;

use super::passphrase::{PassphraseArgs, replacement};
use super::settings::Local;
use super::{Failure, Outcome, credential};

/// Commands of `identity`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum IdentityCommand {
    /// Makes a key and encrypts it under a passphrase.
    ///
    /// The next step is `sotto credential request`. Whoever has the key file and
    /// the passphrase speaks for your identifiers; if you lose either, make
    /// another identity and have your CSIP confirm it: its newer credential takes
    /// the place of the lost key's, and what that one had published is gone until
    /// you publish it again.
    New(NewArgs),
    /// Shows the public key and which credentials are held until when.
    Show(WhereArgs),
    /// Writes the encrypted key into a file, to be imported on another device.
    Export(ExportArgs),
    /// Takes over a key that `sotto identity export` wrote on another device.
    Import(ImportArgs),
    /// Changes the passphrase.
    Passphrase(ChangeArgs),
    /// Makes another key, for credentials to come.
    ///
    /// The key so far stays beside it, and signs for the identifiers whose
    /// credential names it. Then run `sotto credential request` for each of them
    /// and publish again: a credential for another key takes the place of the
    /// one before, with everything that was published under it.
    Rotate(NewArgs),
}

/// Where the identity is.
#[derive(Debug, clap::Args)]
pub(super) struct WhereArgs {
    /// Directory of the identity; without it, that of the configuration file or
    /// ~/.config/sotto/identity.
    #[arg(long, value_name = "DIR")]
    identity: Option<PathBuf>,

    /// Configuration file; without it, ~/.config/sotto/client.toml if there.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Arguments of `new` and `rotate`.
#[derive(Debug, clap::Args)]
pub(super) struct NewArgs {
    /// What the key signs with.
    #[arg(long, value_enum, default_value_t = Algorithm::Ed25519)]
    algorithm: Algorithm,

    #[command(flatten)]
    place: WhereArgs,
}

/// What a key signs with.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Algorithm {
    /// EdDSA with Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA with P-256 and SHA-256 (FIPS 186-5).
    Es256,
}

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// File to write, which must not be there yet; for the public key alone it
    /// may be left out.
    #[arg(value_name = "FILE", required_unless_present = "public")]
    file: Option<PathBuf>,

    /// The public key, as text, instead of the secret one.
    #[arg(long)]
    public: bool,

    #[command(flatten)]
    place: WhereArgs,
}

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// The file from the other device.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    place: WhereArgs,
}

/// Arguments of `passphrase`.
#[derive(Debug, clap::Args)]
pub(super) struct ChangeArgs {
    /// File with the new passphrase; without it you are asked.
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,

    #[command(flatten)]
    place: WhereArgs,
}

impl WhereArgs {
    fn directory(&self) -> Result<PathBuf, Failure> {
        Local::read(self.config.as_deref())?.identity(self.identity.as_deref())
    }

    fn open(&self) -> Result<Identity, Failure> {
        Ok(Identity::open(self.directory()?)?)
    }

    /// The public key; if its file is missing, the secret one is unlocked.
    fn public_key(&self, identity: &Identity) -> Result<VerifyingKey, Failure> {
        match identity.public_key()? {
            Some(key) => Ok(key),
            None => Ok(identity.key(&self.passphrase.current()?)?.verifying_key()),
        }
    }
}

/// Runs a command of `identity`.
///
/// # Errors
/// [`Failure`], by what could not be read or written.
pub(super) fn run(command: &IdentityCommand) -> Result<Outcome, Failure> {
    match command {
        IdentityCommand::New(args) => new(args),
        IdentityCommand::Show(args) => show(args),
        IdentityCommand::Export(args) => export(args),
        IdentityCommand::Import(args) => import(args),
        IdentityCommand::Passphrase(args) => change_passphrase(args),
        IdentityCommand::Rotate(args) => rotate(args),
    }?;
    Ok(Outcome::Complete)
}

fn new(args: &NewArgs) -> Result<(), Failure> {
    let directory = args.place.directory()?;
    // Before a passphrase is asked for in vain.
    if Identity::open(&directory).is_ok() {
        return Err(client::identity::IdentityError::Exists { path: directory }.into());
    }
    let key = generate(args.algorithm);
    create(&directory, &key, &args.place.passphrase.fresh()?)
}

fn create(directory: &Path, key: &SigningKey, passphrase: &Passphrase) -> Result<(), Failure> {
    let identity = Identity::create(directory, key, passphrase)?;
    describe_key(&key.verifying_key());
    eprintln!(
        "written to {}; next: sotto credential request",
        identity.directory().display()
    );
    Ok(())
}

fn show(args: &WhereArgs) -> Result<(), Failure> {
    let identity = args.open()?;
    describe_key(&args.public_key(&identity)?);
    let credentials = identity.credentials()?;
    if credentials.is_empty() {
        println!("no credentials: get one with sotto credential request");
    }
    let now = UnixTime::now();
    for credential in &credentials {
        println!("{}", credential::line(&identity, credential, now)?);
    }
    Ok(())
}

fn export(args: &ExportArgs) -> Result<(), Failure> {
    let identity = args.place.open()?;
    let (content, what) = if args.public {
        let key = args.place.public_key(&identity)?;
        (format!("{}\n", key.to_text()).into_bytes(), "public key")
    } else {
        (identity.export()?, "encrypted key")
    };
    let Some(path) = &args.file else {
        print!("{}", String::from_utf8_lossy(&content));
        return Ok(());
    };
    durable::create(path, PRIVATE, &content)
        .with_context(|| {
            format!("the {what} was not exported: choose a file that is not there yet")
        })
        .map_err(Failure::Run)?;
    eprintln!("{what} written to {}", path.display());
    if !args.public {
        eprintln!(
            "on the other device: sotto identity import FILE; it needs the passphrase, and your \
             credentials with sotto credential import"
        );
    }
    Ok(())
}

fn import(args: &ImportArgs) -> Result<(), Failure> {
    let directory = args.place.directory()?;
    if Identity::open(&directory).is_ok() {
        return Err(client::identity::IdentityError::Exists { path: directory }.into());
    }
    let passphrase = args.place.passphrase.current()?;
    let key = KeyFile::new(&args.file)
        .read(&passphrase)
        .map_err(|error| Failure::Run(anyhow!(error)))?;
    create(&directory, &key, &passphrase)
}

fn change_passphrase(args: &ChangeArgs) -> Result<(), Failure> {
    let identity = args.place.open()?;
    let current = args.place.passphrase.current()?;
    // Before a new one is asked for in vain.
    identity.key(&current)?;
    let new = replacement(args.new_passphrase_file.as_deref())?;
    identity.change_passphrase(&current, &new)?;
    eprintln!("the passphrase was changed; copies of the key elsewhere keep the one before");
    Ok(())
}

fn rotate(args: &NewArgs) -> Result<(), Failure> {
    let identity = args.place.open()?;
    let passphrase = args.place.passphrase.current()?;
    let key = generate(args.algorithm);
    identity.rotate(&key, &passphrase)?;
    describe_key(&key.verifying_key());
    eprintln!(
        "next, for each of your identifiers: sotto credential request, then sotto publish; until \
         then the key before signs for it"
    );
    Ok(())
}

fn generate(algorithm: Algorithm) -> SigningKey {
    match algorithm {
        Algorithm::Ed25519 => SigningKey::generate(&mut rand::rng()),
        Algorithm::Es256 => SigningKey::generate_p256(&mut rand::rng()),
    }
}

fn describe_key(key: &VerifyingKey) {
    println!("public key   {}", key.to_text());
    println!("fingerprint  {}", hex::encode(key.key_id().as_bytes()));
}
