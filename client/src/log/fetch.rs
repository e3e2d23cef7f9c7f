//! What of the log is fetched.

use std::ops::Range;

use protocol::cose::VerifyingKey;
use protocol::log::bundle::{self, BUNDLE_BYTES_MAX};
use protocol::log::{
    CHECKPOINT_BYTES_MAX, LogHash, Part, SignedCheckpoint, TILE_WIDTH, TileId, TileSet,
};
use protocol::wire::{self, media};

use super::LogRefusal;
use crate::error::ClientError;
use crate::transport::{Exchange, Transport};

/// The log of a provider.
pub(crate) struct LogSource<'a> {
    transport: &'a Transport,
}

impl<'a> LogSource<'a> {
    pub(crate) fn new(transport: &'a Transport) -> Self {
        Self { transport }
    }

    /// Where it ends, by the provider's signature.
    pub(crate) async fn checkpoint(
        &self,
        dp_key: &VerifyingKey,
    ) -> Result<SignedCheckpoint, ClientError> {
        let checkpoint = self.transport.get(Exchange {
            step: "checkpoint of the log",
            path: wire::LOG_CHECKPOINT_PATH,
            accept: media::TEXT,
            max_bytes: CHECKPOINT_BYTES_MAX,
        });
        Ok(super::open(&checkpoint.await?, dp_key)?)
    }

    /// These tiles, not verified.
    pub(crate) async fn tiles(
        &self,
        wanted: impl IntoIterator<Item = TileId>,
    ) -> Result<TileSet, ClientError> {
        let mut tiles = TileSet::default();
        for tile in wanted {
            let max = TILE_WIDTH * LogHash::BYTES;
            let bytes = self.part(&Part::Tile(tile), max).await?;
            tiles.insert(&tile, tile.decode(&bytes).map_err(LogRefusal::from)?);
        }
        Ok(tiles)
    }

    /// The entries of a range of a log of `size`, not verified.
    pub(crate) async fn entries(
        &self,
        range: Range<u64>,
        size: u64,
    ) -> Result<Vec<Vec<u8>>, ClientError> {
        let mut entries = Vec::new();
        if range.is_empty() {
            return Ok(entries);
        }
        let whole = TILE_WIDTH as u64;
        for index in range.start / whole..=(range.end - 1) / whole {
            let of_bundle = self.bundle(index, size).await?;
            let here = (index * whole..).zip(of_bundle);
            let wanted = here.filter(|(at, _)| range.contains(at));
            entries.extend(wanted.map(|(_, entry)| entry));
        }
        Ok(entries)
    }

    /// A bundle of a log of `size`, not verified.
    pub(crate) async fn bundle(&self, index: u64, size: u64) -> Result<Vec<Vec<u8>>, ClientError> {
        let part = Part::bundle(index, size);
        let Part::Entries { width, .. } = part else {
            return Ok(Vec::new());
        };
        let bytes = self.part(&part, BUNDLE_BYTES_MAX).await?;
        let entries = bundle::decode(&bytes, width).map_err(LogRefusal::from)?;
        Ok(entries.into_iter().map(<[u8]>::to_vec).collect())
    }

    async fn part(&self, part: &Part, max_bytes: usize) -> Result<Vec<u8>, ClientError> {
        let path = wire::log_tile_path(part);
        let part = self.transport.get(Exchange {
            step: "log",
            path: &path,
            accept: media::OCTETS,
            max_bytes,
        });
        part.await
    }
}
