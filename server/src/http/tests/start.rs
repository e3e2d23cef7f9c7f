use super::*;

#[test]
fn a_backend_that_the_machine_lacks_is_refused_at_the_start() {
    let mut config = Config::default();
    config.queries.backend = "abacus".to_owned();
    match AppState::open(&shared().data, &config) {
        Err(error @ StartError::Backend(_)) => {
            let text = error.to_string();
            assert!(text.contains("queries.backend") && text.contains("portable"));
        }
        other => panic!("{other:?}"),
    }
    config.queries.backend = "portable".to_owned();
    let state = AppState::open(&shared().data, &config).unwrap();
    assert_eq!(state.snapshot().backend().to_string(), "portable");
}
