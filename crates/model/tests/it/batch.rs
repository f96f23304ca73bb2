//! Batches: both forms, a single event, and what a broken event does to its neighbours.

use bytes::Bytes;
use cairn_model::{BatchError, split_batch};

fn split(body: &str) -> Result<Vec<String>, BatchError> {
    let events = split_batch(&Bytes::copy_from_slice(body.as_bytes()), 10)?;
    Ok(events
        .iter()
        .map(|event| String::from_utf8_lossy(event).into_owned())
        .collect())
}

fn cut(body: &str) -> Vec<String> {
    split(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

// Proves: SEC-006
#[test]
fn a_log_file_is_cut_into_its_records() {
    assert_eq!(
        cut(r#"{"Records":[{"a":1},{"b":"]}"}]}"#),
        [r#"{"a":1}"#, r#"{"b":"]}"}"#]
    );
    let pretty = "{\n \"Records\" : [\r\n\t{\n\"a\": [1, {}]\n} ,\n {}\n ]\n}\n";
    assert_eq!(cut(pretty), ["{\n\"a\": [1, {}]\n}", "{}"]);
    let escapes = r#"{"Records":[{"a":"\\"},{"a":"\"]"}]}"#;
    assert_eq!(cut(escapes), [r#"{"a":"\\"}"#, r#"{"a":"\"]"}"#]);
    assert_eq!(
        cut(r#"{"Records":[1,"x",null,{}]}"#),
        ["1", "\"x\"", "null", "{}"]
    );
}

#[test]
fn lines_are_events_and_empty_lines_are_none() {
    assert_eq!(cut("{\"a\":1}\n{\"b\":2}\n"), ["{\"a\":1}", "{\"b\":2}"]);
    assert_eq!(
        cut("\r\n {\"a\":1} \r\n\r\n{\"b\":2}"),
        ["{\"a\":1}", "{\"b\":2}"]
    );
    assert_eq!(
        cut("{\"a\":\"\n{\"b\":2}\nx\n"),
        ["{\"a\":\"", "{\"b\":2}", "x"]
    );
}

#[test]
fn one_event_may_span_lines() {
    let event = "{\n  \"a\": 1,\n  \"Records\": []\n}";
    assert_eq!(cut(event), [event]);
    assert_eq!(
        cut("{\"Records\":5}"),
        ["{\"Records\":5}"],
        "an odd event, not a file"
    );
}

#[test]
fn slices_are_not_copied() {
    let body = Bytes::from_static(b"{\"Records\":[{\"a\":1}]}");
    let events = split_batch(&body, 10).expect("one event");
    assert_eq!(events[0].as_ptr(), body[12..].as_ptr());
}

#[test]
fn batches_without_events_are_refused() {
    for body in [
        "",
        " \n\r\n\t",
        "{\"Records\":[]}",
        "{ \"Records\" : [ ] }\n",
    ] {
        assert_eq!(split(body), Err(BatchError::Empty), "{body:?}");
    }
}

// Proves: H3
#[test]
fn the_limit_counts_events() {
    let file = |count: usize| format!("{{\"Records\":[{}]}}", vec!["{}"; count].join(","));
    let lines = |count: usize| "{}\n".repeat(count);
    for body in [file(10), lines(10)] {
        assert_eq!(split(&body).expect("at the limit").len(), 10);
    }
    for body in [file(11), lines(11)] {
        assert_eq!(split(&body), Err(BatchError::TooManyEvents { limit: 10 }));
    }
}

#[test]
fn a_file_whose_frame_is_broken_is_refused_at_the_place() {
    for (body, offset) in [
        ("{\"Records\":[", 12),
        ("{\"Records\":[{}", 14),
        ("{\"Records\":[{}]", 15),
        ("{\"Records\":[{}]]", 15),
        ("{\"Records\":[{},]}", 15),
        ("{\"Records\":[,{}]}", 12),
        ("{\"Records\":[{} {}]}", 15),
        ("{\"Records\":[{\"a\":\"x]}", 12),
        ("{\"Records\":[]} x", 15),
        ("{\"Records\":[{}],\"more\":1}", 15),
    ] {
        assert_eq!(
            split(body),
            Err(BatchError::Malformed { offset }),
            "{body:?}"
        );
    }
}
