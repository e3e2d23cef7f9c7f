//! `sotto-server sender`.

use clap::Subcommand;
use protocol::time::UnixTime;

use super::Outcome;
use crate::data_dir::DataDir;
use crate::senders::SenderName;

#[derive(Debug, Subcommand)]
pub(super) enum SenderCommand {
    /// Add a sender and print its API key, which is shown this once.
    Add {
        /// 1 to 64 of a-z, 0-9, '.', '_' and '-'.
        name: String,
    },
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
        SenderCommand::Add { name } => {
            let key = senders.add(SenderName::new(name)?, UnixTime::now(), &mut rand::rng())?;
            senders.write(&data.senders_path())?;
            println!("{}", key.as_str());
            eprintln!("This is the API key of {name}. It is kept nowhere: note it now.");
        }
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
