//! `sotto token`.

#[cfg(feature = "blind-rsa")]
mod issued;

use std::path::PathBuf;

use client::{Client, Wallet};
use protocol::time::UnixTime;
use protocol::token::TokenType;

use super::{Connection, Failure, Outcome};

#[cfg(feature = "blind-rsa")]
pub(super) use issued::{IssuerCommand, issuer};

/// Arguments of `token`.
#[derive(Debug, clap::Args)]
pub(super) struct TokenArgs {
    /// The wallet.
    #[arg(long, value_name = "FILE", global = true)]
    wallet: Option<PathBuf>,

    #[command(subcommand)]
    command: TokenCommand,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Subcommand)]
enum TokenCommand {
    /// Fetches tokens from the provider, charged to the account of the API key.
    ///
    /// Each pays for one evaluation or one query: a lookup of one identifier
    /// takes two, or twice the number of slots. What is paid with them says
    /// nothing about the account.
    Fetch {
        /// How many.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
        count: u32,
    },
    /// Asks another issuer for tokens, by a file.
    #[cfg(feature = "blind-rsa")]
    Request(issued::RequestArgs),
    /// Puts tokens into the wallet that another issuer has signed.
    #[cfg(feature = "blind-rsa")]
    Accept(issued::AcceptArgs),
    /// Shows how many tokens the wallet holds, and when they expire.
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Fetches or shows.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(args: &TokenArgs) -> Result<Outcome, Failure> {
    let settings = args.connection.settings()?;
    let path = args
        .wallet
        .as_ref()
        .ok_or_else(|| Failure::Usage(anyhow::anyhow!("--wallet is missing")))?;
    let wallet = Wallet::open(path, &settings.client.dp_key)
        .map_err(|error| Failure::Usage(error.into()))?;
    match &args.command {
        TokenCommand::Fetch { count } => {
            let client = Client::connect(settings.client).await?;
            client.fetch_tokens(*count as usize, &wallet).await?;
            show(&wallet, false)?;
        }
        #[cfg(feature = "blind-rsa")]
        TokenCommand::Request(args) => issued::request(settings.client, args).await?,
        #[cfg(feature = "blind-rsa")]
        TokenCommand::Accept(args) => {
            issued::accept(&wallet, args)?;
            show(&wallet, false)?;
        }
        TokenCommand::Show { json } => show(&wallet, *json)?,
    }
    Ok(Outcome::Complete)
}

fn show(wallet: &Wallet, json: bool) -> Result<(), Failure> {
    let summary = wallet
        .summary(UnixTime::now())
        .map_err(|error| Failure::Run(error.into()))?;
    if json {
        let lines: Vec<_> = summary
            .usable
            .iter()
            .map(|line| {
                serde_json::json!({
                    "type": line.token_type.number(),
                    "count": line.count,
                    "expires": line.expires.to_string(),
                })
            })
            .collect();
        let all = serde_json::json!({
            "usable": summary.count(), "expired": summary.expired, "tokens": lines
        });
        println!("{all}");
        return Ok(());
    }
    println!("{} tokens", summary.count());
    for line in &summary.usable {
        let issuer = match line.token_type {
            TokenType::Voprf => "the provider",
            TokenType::BlindRsa => "another issuer",
        };
        println!("{} of {issuer} until {}", line.count, line.expires);
    }
    if summary.expired > 0 {
        println!("{} have expired", summary.expired);
    }
    Ok(())
}
