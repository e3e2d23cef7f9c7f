//! `sotto-server sender`.

use std::path::PathBuf;

use clap::Subcommand;
use protocol::time::UnixTime;

use super::{Outcome, quota};
use crate::data_dir::DataDir;
use crate::senders::{CertificateDigest, SenderName};
use crate::tls;

#[derive(Debug, Subcommand)]
pub(super) enum SenderCommand {
    /// Add a sender and print its API key, which is shown this once. With
    /// --certificate the sender shows that TLS certificate instead and has no key.
    Add {
        /// 1 to 64 of a-z, 0-9, '.', '_' and '-'.
        name: String,
        /// The sender's TLS certificate, PEM: issued by one of the authorities that
        /// tls.client_authorities in config.toml names.
        #[arg(long, value_name = "FILE")]
        certificate: Option<PathBuf>,
    },
    /// Show or change the quotas of a sender's account, and what is spent of them.
    ///
    /// A server that runs learns of changes by SIGHUP.
    Quota(quota::SenderQuotaArgs),
    /// List the senders.
    List,
    /// Remove a sender. A server that runs learns of it when it starts again.
    Remove {
        /// Its name.
        name: String,
    },
}

pub(super) fn run(data: &DataDir, command: &SenderCommand) -> anyhow::Result<Outcome> {
    let _lock = data.lock()?;
    let mut senders = data.senders()?;
    match command {
        SenderCommand::Add {
            name,
            certificate: Some(path),
        } => {
            let chain = tls::certificates(path, "the sender's certificate")?;
            // There is at least one; the sender's own comes first.
            let Some(own) = chain.first() else {
                return Ok(Outcome::Done);
            };
            let name = SenderName::new(name)?;
            senders.add_with_certificate(
                name.clone(),
                UnixTime::now(),
                CertificateDigest::of(own),
            )?;
            senders.write(&data.senders_path())?;
            println!(
                "added {name}, known by the certificate of {}",
                path.display()
            );
        }
        SenderCommand::Add {
            name,
            certificate: None,
        } => {
            let key = senders.add(SenderName::new(name)?, UnixTime::now(), &mut rand::rng())?;
            senders.write(&data.senders_path())?;
            println!("{}", key.as_str());
            eprintln!("This is the API key of {name}. It is kept nowhere: note it now.");
        }
        SenderCommand::Quota(args) => return quota::sender(data, &mut senders, args),
        SenderCommand::List => {
            for sender in senders.all() {
                println!("{:<32} since {}", sender.name, sender.since);
            }
        }
        SenderCommand::Remove { name } => {
            senders.remove(&SenderName::new(name)?)?;
            senders.write(&data.senders_path())?;
            println!("removed {name}");
        }
    }
    Ok(Outcome::Done)
}
