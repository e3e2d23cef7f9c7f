//! Witnesses and servers that follow.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::Result;
use tests::Running;
use tests::s3::S3;
use tests::witness::Witness;

use crate::operator::{QUIET, deployment, key_of_log, know, publish, requiring, until_shown};

#[tokio::test(flavor = "multi_thread")]
async fn followers_give_out_what_was_cosigned_after_they_took_it_over() -> Result<()> {
    let s3 = S3::start().await?;
    let deployment = deployment(113)?;
    let data = &deployment.data;
    let log_key = key_of_log(data)?;
    let credentials = data.root().join("s3.toml");
    fs::write(&credentials, S3::CREDENTIALS)?;
    fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600))?;
    let follower = deployment.replica("follower")?;
    for (data, role) in [(data, "publisher"), (&follower, "follower")] {
        let config = format!("{QUIET}{}", s3.config(role));
        fs::write(data.root().join("config.toml"), config)?;
    }
    let directory = data.root().join("w");
    let mut witness = Witness::start(&directory, "witness.example/w", &log_key)?;
    let url = witness.url();
    // The follower knows of no witness.
    know(data, &[(&witness.key, &url)])?;
    witness.stop();

    let (publisher, follower) = (Running::start(data)?, Running::start(&follower)?);
    publish(&publisher)?;
    let config = deployment.client_config(follower.address)?;
    until_shown(&config, 2).await?;
    witness.resume()?;
    let required = requiring(&config, &[&witness.key])?;
    until_shown(&required, 2).await?;
    publish(&publisher)?;
    until_shown(&required, 3).await?;
    Ok(())
}
