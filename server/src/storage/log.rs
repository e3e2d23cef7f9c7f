//! The log of manifests in the storage.

use object_store::{ObjectStoreExt as _, PutPayload};

use super::s3::Storage;
use crate::log::{LogStorageError, Objects};

impl Objects for Storage {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, LogStorageError> {
        let name = self.name(name);
        let read = async { self.store().get(&name).await?.bytes().await };
        match self.wait(read) {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(LogStorageError::Storage(error.into())),
        }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), LogStorageError> {
        let name = self.name(name);
        let put = self.store().put(&name, PutPayload::from(bytes.to_vec()));
        match self.wait(put) {
            Ok(_) => Ok(()),
            Err(error) => Err(LogStorageError::Storage(error.into())),
        }
    }
}
