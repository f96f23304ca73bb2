//! Inputs that fuzzing starts from or has found, replayed.

use std::path::PathBuf;

use cairn_api::{ApiError, answer, operations, request, route, validate};

fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let entries = std::fs::read_dir(&folder).expect("the corpus is there");
    let inputs: Vec<(PathBuf, Vec<u8>)> = entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.clone(), std::fs::read(path).expect("readable")))
        .collect();
    assert!(!inputs.is_empty(), "{}", folder.display());
    inputs
}

#[test]
fn requests_are_valid_or_the_callers_error() {
    for (path, bytes) in inputs("api_validate") {
        let (choice, body) = bytes
            .split_first()
            .expect("a first byte chooses the operation");
        let row = &operations()[usize::from(*choice) % operations().len()];
        let outcome: Result<(), ApiError> =
            request::read_body(row, body).and_then(|request| validate(row, &request));
        if let Err(error) = outcome {
            let answer = answer::failure(row.service.protocol(), &error, "id");
            assert!(answer.status < 500, "{}: {error}", path.display());
        }
    }
}

#[test]
fn targets_name_what_they_route_to() {
    for (path, bytes) in inputs("api_route") {
        let target = String::from_utf8(bytes).expect("seeds are text");
        if let Ok(row) = route(&target) {
            assert!(target.ends_with(row.name), "{}", path.display());
        }
    }
}
