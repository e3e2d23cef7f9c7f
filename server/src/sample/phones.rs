//! Valid phone numbers of every region.

use protocol::csi::Csi;
use rand::{Rng, RngExt as _};
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType};

use super::SampleError;

/// Most final digits of an example that are varied.
const MAX_VARIED: usize = 6;

/// National digits of an example that are always kept.
const LEAST_KEPT: usize = 2;

/// Example numbers, one of each kind a region.
pub(super) struct Phones {
    mobile: Vec<Example>,
    fixed: Vec<Example>,
}

/// E.164 form of an example number.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Example {
    e164: String,
    varied: usize,
}

impl Phones {
    /// The example numbers of libphonenumber's metadata, in the order of their
    /// digits.
    pub(super) fn from_metadata() -> Result<Self, SampleError> {
        let phones = Self {
            mobile: examples(PhoneNumberType::Mobile),
            fixed: examples(PhoneNumberType::FixedLine),
        };
        if phones.mobile.is_empty() || phones.fixed.is_empty() {
            return Err(SampleError::NoExamples);
        }
        Ok(phones)
    }

    /// An example with other final digits, if that is a valid number: four
    /// mobile for each fixed one.
    pub(super) fn random<R: Rng>(&self, rng: &mut R) -> Option<Csi> {
        let examples = if rng.random_range(0..5) < 4 {
            &self.mobile
        } else {
            &self.fixed
        };
        let example = &examples[rng.random_range(0..examples.len())];
        let (kept, _) = example.e164.split_at(example.e164.len() - example.varied);
        let varied = rng.random_range(0..10u32.pow(example.varied as u32));
        let candidate = format!("{kept}{varied:0width$}", width = example.varied);
        let number = PHONE_NUMBER_UTIL.parse(&candidate, None).ok()?;
        if PHONE_NUMBER_UTIL.is_valid_number(&number) {
            Csi::parse(&candidate).ok()
        } else {
            None
        }
    }
}

fn examples(kind: PhoneNumberType) -> Vec<Example> {
    let regions = PHONE_NUMBER_UTIL.get_supported_regions();
    let mut examples: Vec<_> = regions
        .filter_map(|region| {
            PHONE_NUMBER_UTIL
                .get_example_number_for_type_and_region(region, kind)
                .ok()
        })
        .filter_map(|number| {
            let e164 = PHONE_NUMBER_UTIL
                .format(&number, PhoneNumberFormat::E164)
                .into_owned();
            let prefix = format!("+{}", number.country_code);
            let national = e164.strip_prefix(&prefix)?.len();
            let varied = national.checked_sub(LEAST_KEPT)?.min(MAX_VARIED);
            (varied > 0 && Csi::parse(&e164).is_ok()).then_some(Example { e164, varied })
        })
        .collect();
    // The metadata are a hash map, whose order changes from run to run.
    examples.sort();
    examples.dedup();
    examples
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn examples_are_of_most_regions_and_in_order() {
        let phones = Phones::from_metadata().unwrap();
        assert!(phones.mobile.len() > 200, "{}", phones.mobile.len());
        assert!(phones.fixed.len() > 200, "{}", phones.fixed.len());
        assert!(phones.mobile.is_sorted());
        assert!(
            phones
                .mobile
                .iter()
                .all(|example| example.varied <= MAX_VARIED)
        );
    }

    #[test]
    fn numbers_are_valid_and_of_many_countries() {
        let phones = Phones::from_metadata().unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let found: Vec<_> = (0..2000).filter_map(|_| phones.random(&mut rng)).collect();
        assert!(
            found.len() > 1000,
            "{} of 2000 candidates are valid",
            found.len()
        );
        let mut countries = BTreeSet::new();
        for csi in &found {
            let e164 = csi.canonical().strip_prefix("tel:").unwrap();
            let number = PHONE_NUMBER_UTIL.parse(e164, None).unwrap();
            assert!(PHONE_NUMBER_UTIL.is_valid_number(&number));
            countries.insert(number.country_code);
        }
        assert!(countries.len() > 100, "{} country codes", countries.len());
    }
}
