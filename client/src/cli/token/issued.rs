//! Tokens of type 0x0002, exchanged with their issuer by files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use client::blind_rsa::{PendingRsaToken, RsaIssuerKey};
use client::durable::{self, PRIVATE};
use client::{Client, Wallet};
use protocol::time::UnixTime;
use protocol::token::{
    RSA_BYTES, RsaTokenKey, RsaTokenRequest, ServerName, TokenChallenge, TokenType,
};
use zeroize::Zeroizing;

use crate::cli::{Connection, Failure, Outcome};

/// Arguments of `token request`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RequestArgs {
    /// Name of the issuer, as the provider lists it.
    #[arg(long, value_name = "NAME")]
    issuer: String,

    /// Public key of the issuer, as `sotto issuer key` shows it.
    #[arg(long, value_name = "KEY")]
    issuer_key: String,

    /// How many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,

    /// Where to keep what the answers need; a new file.
    #[arg(long, value_name = "FILE")]
    pending: PathBuf,

    /// Where to write what the issuer is to sign; a new file.
    #[arg(long, value_name = "FILE")]
    requests: PathBuf,

    #[command(flatten)]
    connection: Connection,
}

/// Arguments of `token accept`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct AcceptArgs {
    /// What `token request` kept. It is removed when the tokens are in the
    /// wallet.
    #[arg(long, value_name = "FILE")]
    pending: PathBuf,

    /// The issuer's answers.
    #[arg(long, value_name = "FILE")]
    answers: PathBuf,

    /// When the provider stops to take them, RFC 3339, as the issuer says.
    #[arg(long, value_name = "TIME")]
    expires: String,
}

/// Arguments of `issuer`.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum IssuerCommand {
    /// Makes a key that issues tokens, and shows its public key.
    New {
        /// Where to; a new file.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Shows the public key, for the provider's issuers.toml and for your users.
    Key {
        /// The key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Signs a user's requests: decide before whether this user may have as many.
    Issue {
        /// The key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// What the user wrote.
        #[arg(long, value_name = "FILE")]
        requests: PathBuf,
        /// Most tokens that this user may have now.
        #[arg(long, value_name = "N")]
        at_most: usize,
        /// Where to write the answers; a new file.
        #[arg(long, value_name = "FILE")]
        answers: PathBuf,
    },
}

/// Blinds tokens and writes what the issuer is to sign.
///
/// # Errors
/// [`Failure`].
pub(super) async fn request(args: &RequestArgs) -> Result<(), Failure> {
    let usage = |error: anyhow::Error| Failure::Usage(error);
    let issuer = ServerName::new(&args.issuer).map_err(|error| usage(error.into()))?;
    let key = URL_SAFE
        .decode(&args.issuer_key)
        .map_err(|_| usage(anyhow!("--issuer-key: expected padded base64url")))?;
    let key = RsaTokenKey::from_spki(&key).map_err(|error| usage(error.into()))?;
    let client = Client::connect(args.connection.settings()?.client).await?;
    let name = client.token_directory().await?.issuer_name;
    let name = name.ok_or_else(|| Failure::Run(anyhow!("the provider doesn't say its name")))?;
    let origin = ServerName::new(&name).map_err(|error| Failure::Run(error.into()))?;
    let challenge = TokenChallenge::for_origin(TokenType::BlindRsa, issuer, origin);
    let mut pending = Zeroizing::new(Vec::new());
    let mut requests = Vec::new();
    for _ in 0..args.count {
        let token = PendingRsaToken::blind(&challenge, &key, &mut rand::rng())
            .map_err(|error| Failure::Run(error.into()))?;
        requests.extend(token.request().encode());
        pending.extend_from_slice(&token.to_bytes());
    }
    write(&args.pending, &pending)?;
    write(&args.requests, &requests)
}

/// Puts tokens into the wallet.
///
/// # Errors
/// [`Failure`].
pub(super) fn accept(wallet: &Wallet, args: &AcceptArgs) -> Result<(), Failure> {
    let expires =
        UnixTime::parse_rfc3339(&args.expires).map_err(|error| Failure::Usage(error.into()))?;
    let pending = Zeroizing::new(read(&args.pending)?);
    let answers = read(&args.answers)?;
    let (pending, rest) = pending.as_chunks::<{ PendingRsaToken::BYTES }>();
    let (answers, more) = answers.as_chunks::<RSA_BYTES>();
    if !rest.is_empty() || !more.is_empty() || pending.len() != answers.len() {
        return Err(Failure::Run(anyhow!(
            "{} tokens were asked for, {} answers are there",
            pending.len(),
            answers.len()
        )));
    }
    let tokens = pending
        .iter()
        .zip(answers)
        .map(|(pending, answer)| PendingRsaToken::from_bytes(pending)?.finalize(answer))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::Run(error.into()))?;
    wallet
        .put(&tokens, expires)
        .map_err(|error| Failure::Run(error.into()))?;
    fs::remove_file(&args.pending)
        .with_context(|| format!("cannot remove {}", args.pending.display()))
        .map_err(Failure::Run)
}

/// The issuer's side.
///
/// # Errors
/// [`Failure`].
pub(in crate::cli) fn issuer(command: &IssuerCommand) -> Result<Outcome, Failure> {
    let run = |error: client::blind_rsa::BlindRsaError| Failure::Run(error.into());
    match command {
        IssuerCommand::New { key } => {
            let made = RsaIssuerKey::generate(&mut rand::rng()).map_err(run)?;
            write(key, made.to_pem().map_err(run)?.as_bytes())?;
            show(&made);
        }
        IssuerCommand::Key { key } => show(&read_key(key)?),
        IssuerCommand::Issue {
            key,
            requests,
            at_most,
            answers,
        } => {
            let key = read_key(key)?;
            let requests = read(requests)?;
            let (requests, rest) = requests.as_chunks::<{ RsaTokenRequest::BYTES }>();
            if !rest.is_empty() || requests.len() > *at_most {
                let found = requests.len();
                return Err(Failure::Run(anyhow!(
                    "expected at most {at_most} requests, found {found}"
                )));
            }
            let mut signed = Vec::new();
            for request in requests {
                let request = RsaTokenRequest::decode(request);
                let request = request.map_err(|error| Failure::Run(error.into()))?;
                signed.extend(key.sign(&request, &mut rand::rng()).map_err(run)?);
            }
            write(answers, &signed)?;
        }
    }
    Ok(Outcome::Complete)
}

fn show(key: &RsaIssuerKey) {
    println!("{}", URL_SAFE.encode(key.public_key().to_spki()));
}

fn read_key(path: &Path) -> Result<RsaIssuerKey, Failure> {
    let exposed = durable::exposure(path).map_err(|error| Failure::Run(error.into()))?;
    if exposed.is_some() {
        let path = path.display();
        return Err(Failure::Run(anyhow!(
            "{path} may be read by others: run `chmod 600 {path}`"
        )));
    }
    let pem = Zeroizing::new(read(path)?);
    let pem = std::str::from_utf8(&pem).map_err(|error| Failure::Run(error.into()))?;
    RsaIssuerKey::from_pem(pem).map_err(|error| Failure::Run(error.into()))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path)
        .with_context(|| format!("cannot read {}", path.display()))
        .map_err(Failure::Run)
}

fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    durable::create(path, PRIVATE, content).map_err(|error| Failure::Run(error.into()))
}
