//! Tokens: fetched with an account's authorisation, spent without any.

use std::sync::Arc;

use protocol::time::UnixTime;
use protocol::token::{
    BATCH_MAX, BatchTokenRequest, BatchTokenResponse, Credentials, DIRECTORY_BYTES_MAX,
    IssuerDirectory, PendingTokens, ServerName, Token, TokenChallenge, TokenType,
};
use protocol::wire::{self, OprfRequest, PaidOprfRequest, media};
use reqwest::Method;
use reqwest::header::HeaderValue;
use tokio::task::spawn_blocking;

use super::{Client, Shared};
use crate::error::ClientError;
use crate::patience::Patience;
use crate::snapshot::SnapshotView;
use crate::transport::{Content, Exchange, secret_header};
use crate::wallet::Wallet;

impl Client {
    /// The directory of the provider's token keys, which is the one that the
    /// manifest names and so the same for everybody.
    ///
    /// # Errors
    /// [`ClientError::NoTokens`], [`ClientError::TokenDirectory`], and what goes
    /// wrong on the way.
    pub async fn token_directory(&self) -> Result<IssuerDirectory, ClientError> {
        let view = self.shared.view();
        match fetch_directory(&self.shared, &view).await {
            // Another snapshot may have been published in between.
            Ok(directory) if directory.issuing(UnixTime::now()).is_some() => Ok(directory),
            Ok(_) | Err(ClientError::TokenDirectory) => {
                let view = self.refresh(&view).await?;
                fetch_directory(&self.shared, &view).await
            }
            Err(error) => Err(error),
        }
    }

    /// Fetches tokens, which are charged like evaluations, and puts each batch
    /// into the wallet as it arrives. The proof of each shows that the published
    /// key was used.
    ///
    /// # Errors
    /// [`ClientError`]; the tokens that came before it are in the wallet.
    pub async fn fetch_tokens(&self, count: usize, wallet: &Wallet) -> Result<(), ClientError> {
        let directory = self.token_directory().await?;
        let now = UnixTime::now();
        let (key, entry) = directory.issuing(now).ok_or(ClientError::NoTokens)?;
        let expires = entry.not_after.map_or(UnixTime::MAX, UnixTime::from_secs);
        let name = directory.issuer_name.as_deref();
        let name = ServerName::new(name.ok_or(ClientError::NoTokens)?)?;
        let challenge = TokenChallenge::for_origin(TokenType::Voprf, name.clone(), name);
        let mut missing = count;
        while missing > 0 {
            let batch = missing.min(BATCH_MAX);
            let challenge = challenge.clone();
            let pending = spawn_blocking(move || {
                PendingTokens::blind(&challenge, &key, batch, &mut rand::rng())
            });
            let pending = pending.await.map_err(|_| ClientError::Interrupted)??;
            let response = request(&self.shared, &pending.request()).await?;
            let tokens =
                spawn_blocking(move || pending.finalize(&BatchTokenResponse::decode(&response)?));
            let tokens = tokens.await.map_err(|_| ClientError::Interrupted)??;
            wallet.put(&tokens, expires).map_err(wallet_failed)?;
            missing -= batch;
        }
        Ok(())
    }
}

async fn request(shared: &Shared, request: &BatchTokenRequest) -> Result<Vec<u8>, ClientError> {
    let exchange = Exchange {
        step: "tokens",
        path: wire::TOKENS_PATH,
        accept: media::TOKEN_BATCH_RESPONSE,
        max_bytes: BatchTokenResponse::BYTES_MAX,
    };
    let mut patience = Patience::new(shared.config.busy_retries);
    loop {
        let posted = shared
            .transport
            .post(exchange, media::TOKEN_BATCH_REQUEST, request.encode());
        match posted.await {
            Err(error) => patience.wait(error).await?,
            Ok(answer) => return Ok(answer),
        }
    }
}

async fn fetch_directory(
    shared: &Shared,
    view: &SnapshotView,
) -> Result<IssuerDirectory, ClientError> {
    let expected = view.manifest().token_keys.ok_or(ClientError::NoTokens)?;
    let json = shared.transport.get(Exchange {
        step: "token keys",
        path: wire::TOKEN_DIRECTORY_PATH,
        accept: media::TOKEN_DIRECTORY,
        max_bytes: DIRECTORY_BYTES_MAX,
    });
    let json = json.await?;
    if IssuerDirectory::digest(&json) != expected {
        return Err(ClientError::TokenDirectory);
    }
    Ok(IssuerDirectory::from_json(&json)?)
}

impl Shared {
    /// Sends an OPRF request, paid with the wallet's tokens if there is one.
    pub(super) async fn post_oprf(
        &self,
        exchange: Exchange<'_>,
        request: OprfRequest,
    ) -> Result<Vec<u8>, ClientError> {
        let Some(wallet) = &self.config.wallet else {
            let bytes = request.encode();
            return self.transport.post(exchange, media::CBOR, bytes).await;
        };
        let mut tokens = take(wallet, request.elements.len()).await?;
        // One for each element, of which there is at least one.
        let first = tokens.pop().ok_or(ClientError::Interrupted)?;
        let bytes = PaidOprfRequest { request, tokens }.encode();
        self.pay(exchange, media::CBOR, bytes, first).await
    }

    /// Sends a PIR query, paid with a token of the wallet if there is one.
    pub(super) async fn post_query(
        &self,
        exchange: Exchange<'_>,
        query: Vec<u8>,
    ) -> Result<Vec<u8>, ClientError> {
        let Some(wallet) = &self.config.wallet else {
            return self.transport.post(exchange, media::QUERY, query).await;
        };
        let token = take(wallet, 1).await?.pop();
        let token = token.ok_or(ClientError::Interrupted)?;
        self.pay(exchange, media::QUERY, query, token).await
    }

    async fn pay(
        &self,
        exchange: Exchange<'_>,
        media_type: &'static str,
        bytes: Vec<u8>,
        token: Token,
    ) -> Result<Vec<u8>, ClientError> {
        let authorization = field(token)?;
        let content = Content { media_type, bytes };
        self.transport
            .send(exchange, Method::POST, Some(&authorization), Some(content))
            .await
    }
}

/// The `Authorization` field of a token.
fn field(token: Token) -> Result<HeaderValue, ClientError> {
    // Base64url is allowed in a header.
    secret_header(&Credentials { token }.to_field()).ok_or(ClientError::Interrupted)
}

async fn take(wallet: &Arc<Wallet>, count: usize) -> Result<Vec<Token>, ClientError> {
    let wallet = Arc::clone(wallet);
    spawn_blocking(move || wallet.take(count, UnixTime::now()))
        .await
        .map_err(|_| ClientError::Interrupted)?
        .map_err(wallet_failed)
}

fn wallet_failed(error: crate::wallet::WalletError) -> ClientError {
    ClientError::Wallet(Arc::new(error))
}
