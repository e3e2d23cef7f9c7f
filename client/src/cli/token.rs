//! `sotto token`.

#[cfg(feature = "blind-rsa")]
mod issued;

use std::path::PathBuf;

use client::{Client, ClientConfig, Wallet};
use protocol::time::UnixTime;
use protocol::token::TokenType;

use super::{Connection, Failure, Outcome};

#[cfg(feature = "blind-rsa")]
pub(super) use issued::{IssuerCommand, issuer};

/// Whose tokens, and where they are kept.
#[derive(Debug, clap::Args)]
pub(super) struct Purse {
    /// The wallet.
    #[arg(long, value_name = "FILE")]
    wallet: PathBuf,

    #[command(flatten)]
    connection: Connection,
}

/// What `token` does.
#[derive(Debug, clap::Subcommand)]
pub(super) enum TokenCommand {
    /// Fetches tokens from the provider, charged to the account of the API key.
    ///
    /// Each pays for one evaluation or one query: a lookup of one identifier
    /// takes two, or twice the number of slots. What is paid with them says
    /// nothing about the account.
    Fetch {
        /// How many.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
        count: u32,
        #[command(flatten)]
        purse: Purse,
    },
    /// Asks another issuer for tokens, by a file.
    #[cfg(feature = "blind-rsa")]
    Request(issued::RequestArgs),
    /// Puts tokens into the wallet that another issuer has signed.
    #[cfg(feature = "blind-rsa")]
    Accept {
        #[command(flatten)]
        answers: issued::AcceptArgs,
        #[command(flatten)]
        purse: Purse,
    },
    /// Shows how many tokens the wallet holds, and when they expire.
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        purse: Purse,
    },
}

impl Purse {
    /// Settings, and the wallet, which belongs to their provider.
    fn open(&self) -> Result<(ClientConfig, Wallet), Failure> {
        let settings = self.connection.settings()?.client;
        let wallet = Wallet::open(&self.wallet, &settings.dp_key)
            .map_err(|error| Failure::Usage(error.into()))?;
        Ok((settings, wallet))
    }
}

/// Fetches or shows.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(command: &TokenCommand) -> Result<Outcome, Failure> {
    match command {
        TokenCommand::Fetch { count, purse } => {
            let (settings, wallet) = purse.open()?;
            let client = Client::connect(settings).await?;
            client.fetch_tokens(*count as usize, &wallet).await?;
            show(&wallet, false)?;
        }
        #[cfg(feature = "blind-rsa")]
        TokenCommand::Request(args) => issued::request(args).await?,
        #[cfg(feature = "blind-rsa")]
        TokenCommand::Accept { answers, purse } => {
            let (_, wallet) = purse.open()?;
            issued::accept(&wallet, answers)?;
            show(&wallet, false)?;
        }
        TokenCommand::Show { json, purse } => show(&purse.open()?.1, *json)?,
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
