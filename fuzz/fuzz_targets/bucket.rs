//! Whatever decodes as a bucket encodes to the same bytes. The input is what
//! lies under the mask: an empty bucket's content is the mask itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::bucket::{Bucket, BucketLayout, FillerSeed, encode};
use protocol::placement::BucketIndex;
use protocol::record::SealedRecord;

const SEED: FillerSeed = FillerSeed([0; 32]);

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = SealedRecord::decode(bytes) {
        let mut again = Vec::new();
        record.encode_into(&mut again);
        assert_eq!(again, bytes);
    }
    let Ok(layout) = BucketLayout::new(1024, 1000) else {
        return;
    };
    let index = BucketIndex::new(7);
    let none: [SealedRecord; 0] = [];
    let Ok(mut content) = encode(&layout, index, &SEED, &none) else {
        return;
    };
    for (masked, byte) in content.iter_mut().zip(bytes) {
        *masked ^= byte;
    }
    if let Ok(bucket) = Bucket::decode(&layout, index, &SEED, &content) {
        assert_eq!(encode(&layout, index, &SEED, bucket.records()), Ok(content));
    }
});
