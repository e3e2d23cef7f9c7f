//! Whatever is answered.

use std::net::{SocketAddr, TcpListener as Silent};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use protocol::cose::SigningKey;
use protocol::log::{Note, NoteKey, SignatureKind};
use protocol::time::UnixTime;
use server::witness::{Failed, Pusher};
use tests::Running;
use tests::witness::Witness;
use tokio::net::TcpListener;

use crate::operator::{deployment, key_of_log, know, operate, publish, requiring, until_shown};

fn secret(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn public(name: &str) -> Result<NoteKey> {
    let key = secret(1).verifying_key();
    Ok(NoteKey::new(name, SignatureKind::Cosignature, key)?)
}

/// Answers as its name says.
fn answer(name: &str, request: &str) -> Option<Response> {
    let (head, checkpoint) = request.split_once("\n\n")?;
    let old: u64 = head.lines().next()?.strip_prefix("old ")?.parse().ok()?;
    let note = Note::decode(checkpoint.as_bytes()).ok()?;
    let now = UnixTime::now().as_secs();
    let cosigned = |seed, at| Some(format!("{}\n", note.cosign(name, &secret(seed), at).ok()?));
    let conflict = |text: &str| {
        let kind = [(CONTENT_TYPE, "text/x.tlog.size")];
        (StatusCode::CONFLICT, kind, text.to_owned()).into_response()
    };
    Some(match name {
        "unknown" => StatusCode::NOT_FOUND.into_response(),
        "forbids" => StatusCode::FORBIDDEN.into_response(),
        "disproves" => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
        "broken" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "moved" => (StatusCode::FOUND, [("location", "/good/add-checkpoint")]).into_response(),
        "ahead" => conflict("1000\n"),
        "undecided" => conflict(if old == 1 { "0\n" } else { "1\n" }),
        "padded" => conflict("01\n"),
        "untyped" => (StatusCode::CONFLICT, "1\n").into_response(),
        "long" => "x".repeat(1 << 20).into_response(),
        "empty" => "".into_response(),
        "prose" => "certainly\n".into_response(),
        "stranger" => cosigned(2, now)?.into_response(),
        "early" => cosigned(1, 7)?.into_response(),
        "late" => cosigned(1, now + 3600)?.into_response(),
        "forged" => {
            let mut other = Note::new("sotto.dp/0\n1\n\n").ok()?;
            other.add(note.signatures().first()?.clone()).ok()?;
            format!("{}\n", other.cosign(name, &secret(1), now).ok()?).into_response()
        }
        // What is expected, and a line of somebody unknown.
        "good" => format!("{}{}", cosigned(2, now)?, cosigned(1, now)?).into_response(),
        _ => return None,
    })
}

async fn serve() -> Result<SocketAddr> {
    let handler = async |Path(name): Path<String>, body: String| {
        answer(&name, &body).unwrap_or_else(|| StatusCode::BAD_REQUEST.into_response())
    };
    let app = Router::new().route("/{name}/add-checkpoint", post(handler));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_answers_only_a_true_cosignature_is_added() -> Result<()> {
    let deployment = deployment(114)?;
    let data = &deployment.data;
    let address = serve().await?;
    let refusals = [
        ("unknown", "doesn't know the log"),
        ("forbids", "under another key"),
        ("disproves", "refuses the proof"),
        ("broken", "status 500"),
        ("moved", "status 302"),
        ("ahead", "it has seen 1000 entries"),
        ("undecided", "it has seen 0 entries"),
        ("padded", "not one of a witness"),
        ("untyped", "not one of a witness"),
        ("long", "not one of a witness"),
        ("empty", "another key"),
        ("prose", "not a cosignature"),
        ("stranger", "another key"),
        ("early", "of another time"),
        ("late", "of another time"),
        ("forged", "not of the published checkpoint"),
    ];
    let names = refusals.iter().map(|(name, _)| *name).chain(["good"]);
    let mut lines = Vec::new();
    for name in names {
        lines.push((public(name)?, format!("http://{address}/{name}/")));
    }
    let borrowed: Vec<_> = lines.iter().map(|(key, url)| (key, url.as_str())).collect();
    know(data, &borrowed)?;
    let failed = Pusher::new(data.clone(), None)?.push().await?;
    ensure!(failed.len() == refusals.len(), "{failed:?}");
    for (Failed { witness, error }, (name, reason)) in failed.iter().zip(refusals) {
        let said = error.to_string();
        ensure!(
            witness == name && said.contains(reason),
            "{witness}: {said}"
        );
    }
    let shown = operate(data, &["log", "show"])?;
    let checkpoint = String::from_utf8(shown.stdout)?;
    let signatures = checkpoint.lines().filter(|line| line.starts_with('—'));
    ensure!(signatures.count() == 2, "{checkpoint}");
    ensure!(checkpoint.contains("— good "), "{checkpoint}");

    // Asked again, one that has signed is not.
    know(data, &[(&public("good")?, "http://127.0.0.1:1")])?;
    ensure!(Pusher::new(data.clone(), None)?.push().await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_never_answers_keeps_nothing_waiting() -> Result<()> {
    let deployment = deployment(115)?;
    let data = &deployment.data;
    let log_key = key_of_log(data)?;
    let witness = Witness::start(&data.root().join("w"), "witness.example/w", &log_key)?;
    let silent = Arc::new(Silent::bind("127.0.0.1:0")?);
    let nowhere = format!("http://{}", silent.local_addr()?);
    let url = witness.url();
    know(
        data,
        &[(&public("silent")?, &nowhere), (&witness.key, &url)],
    )?;
    let server = Running::start(data)?;
    // It is being asked, and will be until its time is over.
    let accepting = Arc::clone(&silent);
    let accepted = tokio::task::spawn_blocking(move || accepting.accept());
    let _held = accepted.await?.context("nobody asked")?;
    let config = deployment.client_config(server.address)?;
    until_shown(&requiring(&config, &[&witness.key])?, 1).await?;
    publish(&server)?;
    until_shown(&config, 2).await?;
    let said = server.said()?;
    ensure!(
        !said.contains("not cosigned"),
        "it was given up before: {said}"
    );
    until_shown(&requiring(&config, &[&witness.key])?, 2).await?;
    Ok(())
}
