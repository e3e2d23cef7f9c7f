//! An MSP issues tokens of type 0x0002 that a provider takes: every step with the
//! programs, the exchange between them by files, the lookups over TLS.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use protocol::time::UnixTime;
use tests::{Deployment, Directory, Running, program};

const CONFIG: &str = "listen = \"127.0.0.1:0\"\n[snapshot]\ninterval_secs = 0\n";

/// Tokens that the provider takes of the issuer in a day.
const PER_DAY: u32 = 6;

#[test]
fn tokens_of_an_msp_pay_for_lookups_up_to_its_cap() -> Result<()> {
    let deployment = Directory::build_with(60, 51, Some(CONFIG))?.hand_over()?;
    let root = deployment.data.root().to_owned();
    let work = tempfile::tempdir()?;
    let sotto = Sotto {
        directory: work.path(),
    };

    let key = sotto.run(&["issuer", "new", "--key", "issuer.pem"])?;
    let now = UnixTime::now();
    let until = now.saturating_add(3600);
    let issuers = format!(
        "[[issuer]]\nname = \"tokens.msp.example\"\npublic_key = \"{}\"\nnot_before = \"{now}\"\n\
         not_after = \"{until}\"\nper_day = {PER_DAY}\n",
        key.trim()
    );
    std::fs::write(root.join("issuers.toml"), issuers)?;
    let running = Running::start(&deployment.data)?;
    sotto.configure(&deployment, running.address.port())?;

    let request = [
        "token",
        "request",
        "--config",
        "client.toml",
        "--issuer",
        "tokens.msp.example",
        "--issuer-key",
        key.trim(),
        "--count",
        "8",
        "--pending",
        "pending",
        "--requests",
        "requests",
    ];
    sotto.run(&request)?;
    let issue = [
        "issuer",
        "issue",
        "--key",
        "issuer.pem",
        "--requests",
        "requests",
        "--at-most",
    ];
    let too_many = sotto.output(&[&issue[..], &["7", "--answers", "answers"]].concat())?;
    ensure!(!too_many.status.success(), "more were issued than allowed");
    sotto.run(&[&issue[..], &["8", "--answers", "answers"]].concat())?;
    let expires = until.to_string();
    let accept = [
        "token",
        "accept",
        "--config",
        "client.toml",
        "--wallet",
        "wallet",
        "--pending",
        "pending",
        "--answers",
        "answers",
        "--expires",
        &expires,
    ];
    ensure!(
        sotto
            .run(&accept)?
            .starts_with("8 tokens\n8 of another issuer")
    );

    // Two tokens a lookup: three lookups are what the provider takes of this issuer.
    let (csi, _) = &deployment.expected[0];
    let lookup = [
        "lookup",
        csi.canonical(),
        "--config",
        "client.toml",
        "--wallet",
        "wallet",
        "--json",
    ];
    for _ in 0..PER_DAY / 2 {
        sotto.run(&lookup)?;
    }
    let refused = sotto.output(&lookup)?;
    let said = String::from_utf8_lossy(&refused.stdout);
    ensure!(!refused.status.success(), "more were taken than the cap");
    ensure!(said.contains("quota"), "{said}");

    let log = running.kill()?;
    ensure!(!log.contains(csi.canonical()), "an identifier was logged");
    Ok(())
}

struct Sotto<'a> {
    directory: &'a Path,
}

impl Sotto<'_> {
    /// Without an API key: the wallet pays.
    fn configure(&self, deployment: &Deployment, port: u16) -> Result<()> {
        let data = deployment.data.root().display();
        let config = format!(
            "server = \"https://localhost:{port}\"\ndp_key_file = \"{data}/dp.pub\"\n\
             trust = \"{data}/trust.toml\"\nca = \"{data}/tls/cert.pem\"\n"
        );
        Ok(std::fs::write(self.directory.join("client.toml"), config)?)
    }

    fn output(&self, arguments: &[&str]) -> Result<Output> {
        Command::new(program("sotto")?)
            .args(arguments)
            .current_dir(self.directory)
            .env("HOME", self.directory)
            .env_remove("SOTTO_API_KEY")
            .output()
            .context("sotto")
    }

    /// What it prints.
    fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }
}
