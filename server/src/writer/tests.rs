use super::contention;
use crate::store::embedded::tests::fresh;

#[test]
fn conflicts_end_as_the_rule_says_in_the_embedded_store() {
    contention::check(&fresh);
}
