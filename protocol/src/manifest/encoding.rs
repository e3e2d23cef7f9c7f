//! The manifest's CBOR: a map with the integer keys of this file.

use super::{Artifact, BuildId, Manifest, ManifestError, PirShape, SnapshotId};
use crate::audit::Head;
use crate::bucket::FillerSeed;
use crate::cbor::{self, CborError, Field, MapReader, Value};
use crate::cose::VerifyingKey;
use crate::merkle::Hash;
use crate::oprf::OprfPublicKey;
use crate::time::UnixTime;

const SEQUENCE: Field = 1;
const SNAPSHOT: Field = 2;
const BUILD_ID: Field = 3;
const PUBLISHED_AT: Field = 4;
const EXPIRES_AT: Field = 5;
const PIR: Field = 6;
const CRS_EPOCH: Field = 7;
const DP_KEY: Field = 8;
const OPRF_KEY: Field = 9;
const OPRF_EPOCH: Field = 10;
const RECORDS: Field = 11;
const GROUPS: Field = 12;
const FILLER_SEED: Field = 13;
const MERKLE_ROOT: Field = 14;
const DATABASE_DIGEST: Field = 15;
const DATABASE_BYTES: Field = 16;
const HINT_DIGEST: Field = 17;
const HINT_BYTES: Field = 18;
const TRUST_LIST: Field = 19;
const PREVIOUS: Field = 20;
const AUDIT_ENTRIES: Field = 21;
const AUDIT_HASH: Field = 22;
const BLOCKED: Field = 23;
const TOKEN_KEYS: Field = 24;
const FILTER_DIGEST: Field = 25;
const FILTER_BYTES: Field = 26;

// Keys of the map under `PIR`.
const PARAMETER_SET: Field = 1;
const COLUMNS: Field = 2;
const BUCKET_BYTES: Field = 3;
const QUERY_BITS: Field = 4;
const MASK_BITS: Field = 5;
const BODY_BITS: Field = 6;
const FAILURE_LOG2: Field = 7;

pub(super) fn encode(manifest: &Manifest) -> Result<Vec<u8>, CborError> {
    let m = manifest;
    let mut fields = vec![
        (SEQUENCE, m.sequence.into()),
        (SNAPSHOT, bytes(m.snapshot.as_bytes())),
        (BUILD_ID, bytes(&m.build_id.0)),
        (PUBLISHED_AT, m.published_at.as_secs().into()),
        (EXPIRES_AT, m.expires_at.as_secs().into()),
        (PIR, shape(&m.pir)),
        (CRS_EPOCH, m.crs_epoch.into()),
        (DP_KEY, bytes(&m.dp_key.to_cose_key())),
        (OPRF_KEY, bytes(m.oprf_key.as_bytes())),
        (OPRF_EPOCH, m.oprf_epoch.into()),
        (RECORDS, m.records.into()),
        (GROUPS, m.groups.into()),
        (FILLER_SEED, bytes(&m.filler_seed.0)),
        (MERKLE_ROOT, bytes(m.merkle_root.as_bytes())),
        (DATABASE_DIGEST, bytes(m.database.digest.as_bytes())),
        (DATABASE_BYTES, m.database.bytes.into()),
        (HINT_DIGEST, bytes(m.hint.digest.as_bytes())),
        (HINT_BYTES, m.hint.bytes.into()),
        (TRUST_LIST, bytes(m.trust_list.as_bytes())),
        (AUDIT_ENTRIES, m.audit.entries.into()),
        (AUDIT_HASH, bytes(m.audit.hash.as_bytes())),
        (BLOCKED, m.blocked.into()),
    ];
    if let Some(previous) = &m.previous {
        fields.push((PREVIOUS, bytes(previous.as_bytes())));
    }
    if let Some(token_keys) = &m.token_keys {
        fields.push((TOKEN_KEYS, bytes(token_keys.as_bytes())));
    }
    if let Some(filter) = &m.filter {
        fields.push((FILTER_DIGEST, bytes(filter.digest.as_bytes())));
        fields.push((FILTER_BYTES, filter.bytes.into()));
    }
    cbor::encode(&map(fields))
}

pub(super) fn decode(payload: &[u8]) -> Result<Manifest, ManifestError> {
    let mut fields = MapReader::new(cbor::decode(payload)?)?;
    let manifest = Manifest {
        sequence: fields.unsigned(SEQUENCE)?,
        snapshot: SnapshotId::from_bytes(fields.byte_array(SNAPSHOT)?),
        build_id: BuildId(fields.byte_array(BUILD_ID)?),
        published_at: UnixTime::from_secs(fields.unsigned(PUBLISHED_AT)?),
        expires_at: UnixTime::from_secs(fields.unsigned(EXPIRES_AT)?),
        pir: decode_shape(fields.required(PIR)?)?,
        crs_epoch: fields.unsigned(CRS_EPOCH)?,
        dp_key: VerifyingKey::from_cose_key(&fields.bytes(DP_KEY)?)
            .map_err(ManifestError::DpKey)?,
        oprf_key: OprfPublicKey::from_bytes(&fields.byte_array(OPRF_KEY)?)
            .map_err(ManifestError::OprfKey)?,
        oprf_epoch: fields.unsigned(OPRF_EPOCH)?,
        records: fields.unsigned(RECORDS)?,
        groups: fields.unsigned(GROUPS)?,
        filler_seed: FillerSeed(fields.byte_array(FILLER_SEED)?),
        merkle_root: hash(&mut fields, MERKLE_ROOT)?,
        database: Artifact {
            digest: hash(&mut fields, DATABASE_DIGEST)?,
            bytes: fields.unsigned(DATABASE_BYTES)?,
        },
        hint: Artifact {
            digest: hash(&mut fields, HINT_DIGEST)?,
            bytes: fields.unsigned(HINT_BYTES)?,
        },
        trust_list: hash(&mut fields, TRUST_LIST)?,
        audit: Head {
            entries: fields.unsigned(AUDIT_ENTRIES)?,
            hash: hash(&mut fields, AUDIT_HASH)?,
        },
        blocked: u32::try_from(fields.unsigned(BLOCKED)?)
            .map_err(|_| ManifestError::OutOfRange { field: BLOCKED })?,
        previous: optional_hash(&mut fields, PREVIOUS)?,
        token_keys: optional_hash(&mut fields, TOKEN_KEYS)?,
        filter: match optional_hash(&mut fields, FILTER_DIGEST)? {
            None => None,
            Some(digest) => Some(Artifact {
                digest,
                bytes: fields.unsigned(FILTER_BYTES)?,
            }),
        },
    };
    fields.finish()?;
    Ok(manifest)
}

/// The encoding of a shape alone, for the snapshot id.
pub(super) fn shape_bytes(pir: &PirShape) -> Vec<u8> {
    // The map has distinct keys and holds text and integers only.
    cbor::encode(&shape(pir)).expect("distinct integer keys")
}

fn shape(pir: &PirShape) -> Value {
    map(vec![
        (PARAMETER_SET, Value::Text(pir.parameter_set.clone())),
        (COLUMNS, pir.columns.into()),
        (BUCKET_BYTES, pir.bucket_bytes.into()),
        (QUERY_BITS, pir.query_bits.into()),
        (MASK_BITS, pir.mask_bits.into()),
        (BODY_BITS, pir.body_bits.into()),
        (FAILURE_LOG2, pir.failure_log2.into()),
    ])
}

fn decode_shape(value: Value) -> Result<PirShape, ManifestError> {
    let mut fields = MapReader::within(PIR, value)?;
    let shape = PirShape {
        parameter_set: fields.text(PARAMETER_SET)?,
        columns: narrow(&mut fields, COLUMNS)?,
        bucket_bytes: narrow(&mut fields, BUCKET_BYTES)?,
        query_bits: narrow(&mut fields, QUERY_BITS)?,
        mask_bits: narrow(&mut fields, MASK_BITS)?,
        body_bits: narrow(&mut fields, BODY_BITS)?,
        failure_log2: match fields.required(FAILURE_LOG2)? {
            Value::Integer(integer) => {
                i16::try_from(integer).map_err(|_| ManifestError::OutOfRange { field: PIR })?
            }
            _ => {
                return Err(CborError::WrongType {
                    field: FAILURE_LOG2,
                    expected: "an integer",
                }
                .into());
            }
        },
    };
    fields.finish()?;
    Ok(shape)
}

fn narrow<T: TryFrom<u64>>(fields: &mut MapReader, field: Field) -> Result<T, ManifestError> {
    T::try_from(fields.unsigned(field)?).map_err(|_| ManifestError::OutOfRange { field: PIR })
}

fn hash(fields: &mut MapReader, field: Field) -> Result<Hash, CborError> {
    fields.byte_array(field).map(Hash::from_bytes)
}

fn optional_hash(fields: &mut MapReader, field: Field) -> Result<Option<Hash>, CborError> {
    Ok(fields.optional_byte_array(field)?.map(Hash::from_bytes))
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

fn map(fields: Vec<(Field, Value)>) -> Value {
    let keyed = fields
        .into_iter()
        .map(|(key, value)| (Value::Integer(key.into()), value));
    Value::Map(keyed.collect())
}
