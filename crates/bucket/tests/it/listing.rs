//! Pages, prefixes, delimiters, compared with a plain model.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::Fixture;

/// What a listing must contain: objects, and prefixes rolled up at the delimiter.
fn model(keys: &BTreeSet<String>, prefix: &str, delimiter: &str) -> (Vec<String>, Vec<String>) {
    let mut objects = Vec::new();
    let mut prefixes = BTreeSet::new();
    for key in keys.iter().filter(|key| key.starts_with(prefix)) {
        let rest = &key[prefix.len()..];
        match rest.find(delimiter).filter(|_| !delimiter.is_empty()) {
            Some(at) => {
                prefixes.insert(key[..prefix.len() + at + delimiter.len()].to_owned());
            }
            None => objects.push(key.clone()),
        }
    }
    (objects, prefixes.into_iter().collect())
}

async fn list_all(
    fixture: &Fixture,
    prefix: &str,
    delimiter: &str,
    page: usize,
) -> (Vec<String>, Vec<String>) {
    let (mut objects, mut prefixes, mut token) = (Vec::new(), Vec::new(), String::new());
    for _ in 0..200 {
        let mut uri = format!(
            "/cairn-lake?list-type=2&max-keys={page}&prefix={prefix}&delimiter={delimiter}"
        );
        if !token.is_empty() {
            uri = format!("{uri}&continuation-token={token}");
        }
        let answer = fixture.get(&uri).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        objects.extend(answer.between("<Key>", "</Key>"));
        for common in answer.between("<CommonPrefixes>", "</CommonPrefixes>") {
            prefixes.push(common.replace("<Prefix>", "").replace("</Prefix>", ""));
        }
        match answer.between("<NextContinuationToken>", "</").pop() {
            Some(next) => token = next,
            None => return (objects, prefixes),
        }
    }
    panic!("the listing does not end");
}

fn key_strategy() -> impl Strategy<Value = String> {
    proptest::collection::vec("[ab][ab.-]{0,2}", 1..4).prop_map(|parts| parts.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn pages_together_are_the_whole_listing(
        candidates in proptest::collection::btree_set(key_strategy(), 0..25),
        prefix in "[ab]?[ab./-]{0,2}",
        delimiter in "/?",
        page in 1usize..7,
    ) {
        // A file system cannot hold a key and keys below it.
        let keys: BTreeSet<String> = candidates
            .iter()
            .filter(|key| !candidates.iter().any(|other| other.starts_with(&format!("{key}/"))))
            .cloned()
            .collect();
        let objects: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), b"x".as_slice())).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let fixture = runtime.block_on(Fixture::with(&objects));
        let listed = runtime.block_on(list_all(&fixture, &prefix, &delimiter, page));
        prop_assert_eq!(listed, model(&keys, &prefix, &delimiter));
    }
}

#[tokio::test]
async fn the_first_version_of_listing_pages_by_marker() {
    let fixture = Fixture::with(&[("a", b"1"), ("b", b"22"), ("c/d", b"333")]).await;
    let first = fixture.get("/cairn-lake?max-keys=2").await;
    assert_eq!(first.between("<Key>", "</Key>"), ["a", "b"]);
    assert_eq!(first.between("<IsTruncated>", "</"), ["true"]);
    let second = fixture.get("/cairn-lake?max-keys=2&marker=b").await;
    assert_eq!(second.between("<Key>", "</Key>"), ["c/d"]);
    assert_eq!(second.between("<Size>", "</"), ["3"]);
    assert_eq!(second.between("<IsTruncated>", "</"), ["false"]);
}

#[tokio::test]
async fn an_object_that_is_being_written_is_none() {
    let fixture = Fixture::with(&[("a/b.avro", b"whole"), ("a/c.avro.writing", b"pa")]).await;
    for query in ["list-type=2", "list-type=2&prefix=a/&delimiter=/"] {
        let answer = fixture.get(&format!("/cairn-lake?{query}")).await;
        assert_eq!(answer.between("<Key>", "</Key>"), ["a/b.avro"], "{query}");
    }
    assert_eq!(fixture.get("/cairn-lake/a/b.avro").await.status, 200);
    let unfinished = fixture.get("/cairn-lake/a/c.avro.writing").await;
    assert_eq!(unfinished.status, 404);
}

#[tokio::test]
async fn bad_page_requests_are_refused() {
    let fixture = Fixture::with(&[("a", b"1")]).await;
    for query in [
        "list-type=2&max-keys=-1",
        "list-type=2&continuation-token=%21",
    ] {
        let answer = fixture.get(&format!("/cairn-lake?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(
            answer.text().contains("<Code>InvalidArgument</Code>"),
            "{query}"
        );
    }
    let none = fixture.get("/cairn-lake?list-type=2&max-keys=0").await;
    assert_eq!(
        (none.status, none.between("<Key>", "</Key>").len()),
        (200, 0)
    );
}
