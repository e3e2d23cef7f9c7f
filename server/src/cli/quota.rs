//! `sotto-server quota` and `sotto-server sender quota`.

use clap::Args;
use protocol::pseudonym::Pseudonym;
use protocol::time::UnixTime;
use serde_json::{Value, json};

use super::Outcome;
use crate::config::StoreKind;
use crate::data_dir::{DataDir, DataDirError};
use crate::enumeration;
use crate::ledger::{Holder, LedgerError, Level, MeterId, Quota, Remaining};
use crate::quotas::{AccountQuotas, QuotaChange, Quotas};
use crate::senders::{SenderName, Senders};

#[derive(Debug, Args)]
pub(super) struct QuotaArgs {
    /// Print JSON.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print tables in Markdown.
    #[arg(long)]
    markdown: bool,
}

#[derive(Debug, Args)]
pub(super) struct SenderQuotaArgs {
    /// The sender's name.
    name: String,
    /// The end sender whose meter is shown; without it, the one that sends no
    /// Sotto-Sender.
    #[arg(long, value_name = "NAME", value_parser = Pseudonym::parse)]
    pseudonym: Option<Pseudonym>,
    /// Evaluations at once, of the account with all of its senders.
    #[arg(long, value_name = "N")]
    account_burst: Option<u32>,
    /// What comes back of these in an hour.
    #[arg(long, value_name = "N")]
    account_refill: Option<u32>,
    /// Most of a day.
    #[arg(long, value_name = "N")]
    account_per_day: Option<u32>,
    /// Evaluations at once, of each of its senders.
    #[arg(long, value_name = "N")]
    sender_burst: Option<u32>,
    /// What comes back of these in an hour.
    #[arg(long, value_name = "N")]
    sender_refill: Option<u32>,
    /// Most of a day.
    #[arg(long, value_name = "N")]
    sender_per_day: Option<u32>,
    /// Go back to the usual quotas first.
    #[arg(long)]
    reset: bool,
}

/// Prints the configured quotas, and what they are worth.
pub(super) fn run(data: &DataDir, args: &QuotaArgs) -> anyhow::Result<Outcome> {
    let quotas = data.config()?.quota;
    if args.json {
        println!("{:#}", document(&quotas));
    } else if args.markdown {
        print!("{}", enumeration::markdown(&quotas));
    } else {
        print!("{}", enumeration::plain(&quotas));
        println!(
            "\nHow long it takes to have so many numbers evaluated; numbers in use are found only\n\
             by evaluating. Accounts with quotas of their own aren't in these tables."
        );
    }
    Ok(Outcome::Done)
}

/// Changes and shows the quotas of one account.
pub(super) fn sender(
    data: &DataDir,
    senders: &mut Senders,
    args: &SenderQuotaArgs,
) -> anyhow::Result<Outcome> {
    let name = SenderName::new(&args.name)?;
    let before = senders.quota(&name)?;
    let kept = if args.reset {
        AccountQuotas::default()
    } else {
        before
    };
    let own = args.change(kept);
    if own != before {
        senders.set_quota(&name, own)?;
        senders.write(&data.senders_path())?;
        eprintln!("A server that runs learns of this by SIGHUP.");
    }
    let config = data.config()?;
    let quotas = config.quota.of(&own);
    let keys = data.ledger_keys()?;
    let pseudonym = args.pseudonym.as_ref();
    let meters = [
        (
            keys.meter(Holder::Sender(&name, pseudonym)),
            Level::Sender,
            quotas.sender,
        ),
        (
            keys.meter(Holder::Account(&name)),
            Level::Account,
            quotas.account,
        ),
    ];
    match left(data, &meters) {
        Ok(left) => left.iter().for_each(show),
        Err(DataDirError::Ledger(LedgerError::InUse { .. }))
            if config.ledger.kind == StoreKind::Embedded =>
        {
            meters
                .iter()
                .for_each(|(_, level, quota)| show_quota(*level, quota));
            eprintln!(
                "What is spent can't be shown while a server has the ledger open: the field RateLimit of its answers says it."
            );
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Outcome::Done)
}

fn left(
    data: &DataDir,
    meters: &[(MeterId, Level, Quota)],
) -> Result<Vec<Remaining>, DataDirError> {
    Ok(data.ledger()?.remaining(meters, UnixTime::now())?)
}

fn show_quota(level: Level, quota: &Quota) {
    let Quota {
        burst,
        refill_per_hour,
        per_day,
    } = quota;
    println!(
        "{:<8} {burst} at once, {refill_per_hour} an hour, {per_day} a day",
        level.name()
    );
}

fn show(left: &Remaining) {
    show_quota(left.level, &left.quota);
    println!(
        "         left: {} now, full in {} s; {} today, which ends in {} s",
        left.elements(),
        left.full_in_secs,
        left.today,
        left.day_ends_in_secs
    );
}

fn document(quotas: &Quotas) -> Value {
    let quota = |quota: Quota| {
        json!({
            "burst": quota.burst,
            "refill_per_hour": quota.refill_per_hour,
            "per_day": quota.per_day,
        })
    };
    json!({
        "quota": {
            "sender": quota(quotas.sender),
            "account": quota(quotas.account),
            "global": quota(quotas.global),
        },
        "days_for_senders_and_accounts": enumeration::DAYS,
        "enumeration": enumeration::table(quotas),
    })
}

impl SenderQuotaArgs {
    /// What was different, with what is to be from now on.
    fn change(&self, kept: AccountQuotas) -> AccountQuotas {
        let sender = QuotaChange {
            burst: self.sender_burst,
            refill_per_hour: self.sender_refill,
            per_day: self.sender_per_day,
        };
        let account = QuotaChange {
            burst: self.account_burst,
            refill_per_hour: self.account_refill,
            per_day: self.account_per_day,
        };
        AccountQuotas {
            sender: sender.or(kept.sender),
            account: account.or(kept.account),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: SenderQuotaArgs,
    }

    #[test]
    fn what_is_named_changes_and_the_rest_stays() {
        let mut kept = AccountQuotas::default();
        kept.sender.burst = Some(1);
        kept.account.per_day = Some(2);
        let line = ["-", "msp", "--sender-burst", "3", "--account-refill", "4"];
        let changed = Line::parse_from(line).args.change(kept);
        assert_eq!(changed.sender.burst, Some(3));
        assert_eq!(changed.account.refill_per_hour, Some(4));
        assert_eq!(changed.account.per_day, Some(2));
        assert_eq!(changed.sender.per_day, None);
        assert!(Line::try_parse_from(["-", "msp", "--pseudonym", "a b"]).is_err());
    }

    #[test]
    fn programs_get_numbers() {
        let document = document(&Quotas::DEFAULT);
        assert_eq!(document["quota"]["sender"]["burst"], 1024);
        assert_eq!(document["enumeration"][3]["numbers"], 10_000_000_000u64);
        assert_eq!(document["enumeration"][0]["global_days"], 4);
    }
}
