use super::*;
use crate::params::Params;
use crate::sample::SecretRng;

fn random_bytes(params: &Params, rng: &mut SecretRng) -> Vec<u8> {
    (0..params.database_bytes() / 8)
        .flat_map(|_| rng.next_u64().to_le_bytes())
        .collect()
}

fn pieces(bytes: &[u8], length: usize) -> impl Iterator<Item = Result<&[u8], Error>> {
    bytes.chunks(length).map(Ok)
}

#[test]
fn rows_far_from_uniform_are_refused() {
    let params = Params::new(2048, 2048).unwrap();
    let bytes = vec![0x80; params.database_bytes()];
    let database = DatabaseView::new(&params, &bytes).unwrap();
    let error = preprocess(&database, &CrsSeed::derive(b"test", 0), &|_| ()).unwrap_err();
    assert!(matches!(error, Error::RowNorm { row: _, .. }), "{error}");
}

/// Changes `digits` of a database and compares the update with a full set-up.
fn update_equals_full_set_up(change: impl Fn(&mut [u8], &mut SecretRng), groups_left: usize) {
    let params = Params::new(3 * 2048, 2 * 2048).unwrap();
    let seed = CrsSeed::derive(b"update", 3);
    let mut rng = SecretRng::from_seed([9; 32]);
    let old = random_bytes(&params, &mut rng);
    let mut new = old.clone();
    change(&mut new, &mut rng);
    let view = DatabaseView::new(&params, &old).unwrap();
    let earlier = preprocess(&view, &seed, &|_| ()).unwrap();
    let before = earlier.packing.as_slice().to_vec();
    // As they come back from where they were kept.
    let earlier = Preprocessed {
        hint: Hint::decode(&params, &earlier.hint.encode()).unwrap(),
        packing: PackingMatrices::new(&params, before.clone()).unwrap(),
        row_masks: RowMasks::new(&params, earlier.row_masks.as_slice().to_vec()).unwrap(),
    };
    let view = DatabaseView::new(&params, &new).unwrap();
    let changes = Changes::since(&view, pieces(&old, 100 * DEGREE))
        .unwrap()
        .unwrap();
    let differing = old.iter().zip(&new).filter(|(a, b)| a != b).count();
    assert_eq!(changes.digits(), differing);
    let updated = update(earlier, &changes, &view, &seed, &|_| ()).unwrap();
    let full = preprocess(&view, &seed, &|_| ()).unwrap();
    assert!(updated.row_masks.as_slice() == full.row_masks.as_slice());
    assert!(updated.packing.as_slice() == full.packing.as_slice());
    assert_eq!(updated.hint, full.hint);
    let groups = before
        .chunks(GROUP)
        .zip(updated.packing.as_slice().chunks(GROUP));
    assert_eq!(groups.filter(|(a, b)| a == b).count(), groups_left);
}

#[test]
fn an_update_of_nothing_changes_nothing() {
    update_equals_full_set_up(|_, _| (), 2);
}

#[test]
fn an_update_of_one_digit_changes_one_group() {
    // Row 2049, block 1, last column.
    let place = (4096 + 2049) * DEGREE + DEGREE - 1;
    update_equals_full_set_up(|bytes, _| bytes[place] ^= 0x80, 1);
    update_equals_full_set_up(|bytes, _| bytes[0] = bytes[0].wrapping_add(1), 1);
}

/// From no change in a row to more than it takes to compute the row anew, with
/// the largest differences.
#[test]
fn an_update_of_any_density_is_exact() {
    let density = |bytes: &mut [u8], rng: &mut SecretRng| {
        for (row, bytes) in bytes.chunks_exact_mut(DEGREE).enumerate() {
            if row % 4 != 0 {
                continue;
            }
            for _ in 0..[0, 0, 1, 16, 40, 17, 3, 18][(row / 4 + row / 4096) % 8] {
                let at = rng.below(DEGREE as u32) as usize;
                bytes[at] = if bytes[at] < 128 { 0x80 } else { 0x7f };
            }
        }
    };
    update_equals_full_set_up(density, 0);
}

#[test]
fn too_many_changes_are_not_listed() {
    let params = Params::new(2048, 2048).unwrap();
    let old = random_bytes(&params, &mut SecretRng::from_seed([2; 32]));
    let new: Vec<u8> = old.iter().map(|byte| byte ^ 1).collect();
    let view = DatabaseView::new(&params, &new).unwrap();
    assert!(
        Changes::since(&view, pieces(&old, DEGREE))
            .unwrap()
            .is_none()
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let params = Params::new(2048, 2048).unwrap();
    let bytes = random_bytes(&params, &mut SecretRng::from_seed([1; 32]));
    let view = DatabaseView::new(&params, &bytes).unwrap();
    let since = |bytes: &[u8], length| Changes::since(&view, pieces(bytes, length)).map(|_| ());
    assert!(since(&bytes, DEGREE).is_ok());
    for (bytes, length) in [
        (&bytes[..bytes.len() - DEGREE], DEGREE),
        (&bytes[..], DEGREE - 1),
        (&[bytes.as_slice(), &[0; DEGREE]].concat(), DEGREE),
    ] {
        assert!(matches!(since(bytes, length), Err(Error::Length { .. })));
    }
    let mut masks = vec![0; 2048 * DEGREE];
    assert!(RowMasks::new(&params, masks[1..].to_vec()).is_err());
    masks[5] = 1_073_692_673;
    assert!(matches!(
        RowMasks::new(&params, masks),
        Err(Error::NonCanonical { .. })
    ));
    assert!(PackingMatrices::new(&params, vec![0; 7]).is_err());
    let seed = CrsSeed::derive(b"test", 0);
    let earlier = preprocess(&view, &seed, &|_| ()).unwrap();
    let changes = Changes::since(&view, pieces(&bytes, DEGREE))
        .unwrap()
        .unwrap();
    let other = Params::new(2 * 2048, 2048).unwrap();
    let bytes = random_bytes(&other, &mut SecretRng::from_seed([1; 32]));
    let view = DatabaseView::new(&other, &bytes).unwrap();
    assert!(matches!(
        update(earlier, &changes, &view, &seed, &|_| ()),
        Err(Error::ParameterMismatch { .. } | Error::Length { .. })
    ));
}
