//! Puts, deletions and versioning in any order, compared with lists in memory.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::Fixture;

#[derive(Clone, Debug)]
enum Step {
    Put(String, u8),
    Delete(String),
    /// Deletes one of the versions that the model knows.
    DeleteVersion(prop::sample::Index),
    Versioning(bool),
}

/// One version: its ID, and its byte if it is no marker.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    id: String,
    byte: Option<u8>,
}

/// Versions of each key, the newest last.
#[derive(Debug, Default)]
struct Model {
    versioning: Option<bool>,
    keys: BTreeMap<String, Vec<Known>>,
}

impl Model {
    fn add(&mut self, key: &str, known: Known) {
        let versions = self.keys.entry(key.to_owned()).or_default();
        if known.id == "null" {
            versions.retain(|version| version.id != "null");
        }
        versions.push(known);
    }

    fn remove(&mut self, key: &str, id: &str) {
        if let Some(versions) = self.keys.get_mut(key) {
            versions.retain(|version| version.id != id);
            if versions.is_empty() {
                self.keys.remove(key);
            }
        }
    }

    fn current(&self) -> Vec<String> {
        let mut keys = Vec::new();
        for (key, versions) in &self.keys {
            if versions
                .last()
                .is_some_and(|version| version.byte.is_some())
            {
                keys.push(key.clone());
            }
        }
        keys
    }

    fn all(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for (key, versions) in &self.keys {
            for version in versions.iter().rev() {
                all.push((key.clone(), version.id.clone()));
            }
        }
        all
    }
}

fn step() -> impl Strategy<Value = Step> {
    let key = "(a/)?(b/)?[abc]";
    prop_oneof![
        5 => (key, any::<u8>()).prop_map(|(key, byte)| Step::Put(key, byte)),
        3 => key.prop_map(Step::Delete),
        2 => any::<prop::sample::Index>().prop_map(Step::DeleteVersion),
        1 => any::<bool>().prop_map(Step::Versioning),
    ]
}

async fn play(fixture: &Fixture, model: &mut Model, step: Step) {
    match step {
        Step::Put(key, byte) => {
            let put = fixture
                .done("PUT", &format!("/bucket/{key}"), &[], &[byte])
                .await;
            let id = told(&put.headers);
            assert_eq!(id.is_some(), model.versioning.is_some());
            let id = id.unwrap_or_else(|| "null".to_owned());
            assert_eq!(id == "null", model.versioning != Some(true));
            model.add(
                &key,
                Known {
                    id,
                    byte: Some(byte),
                },
            );
        }
        Step::Delete(key) => {
            let gone = fixture
                .done("DELETE", &format!("/bucket/{key}"), &[], b"")
                .await;
            match told(&gone.headers) {
                Some(id) => model.add(&key, Known { id, byte: None }),
                None => model.remove(&key, "null"),
            }
        }
        Step::DeleteVersion(index) => {
            let all = model.all();
            if all.is_empty() {
                return;
            }
            let (key, id) = index.get(&all).clone();
            let uri = format!("/bucket/{key}?versionId={id}");
            fixture.done("DELETE", &uri, &[], b"").await;
            model.remove(&key, &id);
        }
        Step::Versioning(enabled) => {
            let status = if enabled { "Enabled" } else { "Suspended" };
            let wanted = format!(
                "<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>"
            );
            fixture
                .done("PUT", "/bucket?versioning", &[], wanted.as_bytes())
                .await;
            model.versioning = Some(enabled);
        }
    }
}

fn told(headers: &http::HeaderMap) -> Option<String> {
    let id = headers.get("x-amz-version-id")?;
    Some(id.to_str().expect("ASCII").to_owned())
}

/// Every page of the objects.
async fn listed_objects(fixture: &Fixture, page: usize) -> Vec<String> {
    let (mut keys, mut token) = (Vec::new(), String::new());
    loop {
        let uri = format!("/bucket?list-type=2&max-keys={page}{token}");
        let listed = fixture.done("GET", &uri, &[], b"").await;
        keys.extend(listed.between("<Key>", "</Key>"));
        match listed.between("<NextContinuationToken>", "<").pop() {
            Some(next) => token = format!("&continuation-token={next}"),
            None => break,
        }
    }
    keys
}

/// Every page of the versions.
async fn listed_versions(fixture: &Fixture, page: usize) -> Vec<(String, String)> {
    let (mut versions, mut marker) = (Vec::new(), String::new());
    loop {
        let uri = format!("/bucket?versions&max-keys={page}{marker}");
        let listed = fixture.done("GET", &uri, &[], b"").await;
        let text = listed.text();
        let mut found: Vec<(String, String)> = listed
            .between("<Key>", "</Key>")
            .into_iter()
            .zip(listed.between("<VersionId>", "</VersionId>"))
            .collect();
        versions.append(&mut found);
        if !text.contains("<IsTruncated>true</IsTruncated>") {
            break;
        }
        let key = listed
            .between("<NextKeyMarker>", "<")
            .pop()
            .expect("a marker");
        let id = listed
            .between("<NextVersionIdMarker>", "<")
            .pop()
            .expect("a marker");
        marker = format!("&key-marker={key}&version-id-marker={id}");
    }
    versions
}

async fn compare(fixture: &Fixture, model: &Model, page: usize) {
    assert_eq!(listed_objects(fixture, page).await, model.current());
    let mut versions = listed_versions(fixture, page).await;
    // Within a page markers stand apart from versions, so only the set is compared.
    let mut expected = model.all();
    expected.sort();
    versions.sort();
    assert_eq!(versions, expected);
    // Every version by itself.
    for (key, known) in &model.keys {
        for version in known {
            let uri = format!("/bucket/{key}?versionId={}", version.id);
            let got = fixture.ask("GET", &uri, &[], b"").await;
            match version.byte {
                Some(byte) => assert_eq!(got.body, [byte]),
                None => assert_eq!(got.status, 405),
            }
        }
        let got = fixture
            .ask("GET", &format!("/bucket/{key}"), &[], b"")
            .await;
        if let Some(byte) = known.last().and_then(|newest| newest.byte) {
            assert_eq!(got.body, [byte]);
        } else {
            assert_eq!(got.status, 404);
            assert_eq!(got.header("x-amz-delete-marker"), "true");
        }
    }
    let bodies: usize = model
        .keys
        .values()
        .flatten()
        .filter(|v| v.byte.is_some())
        .count();
    assert_eq!(
        fixture.body_files().len(),
        bodies,
        "no body more and none less"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn the_store_is_what_the_model_is(
        steps in proptest::collection::vec(step(), 1..24),
        page in 1..5_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let fixture = Fixture::with_bucket().await;
            let mut model = Model::default();
            for step in steps {
                play(&fixture, &mut model, step).await;
            }
            compare(&fixture, &model, page).await;
            let fixture = fixture.restart().await;
            compare(&fixture, &model, 1000).await;
        });
    }
}

#[tokio::test]
async fn listings_roll_up_and_step_over_what_is_rolled_up() {
    let fixture = Fixture::with_bucket().await;
    for folder in 0..3 {
        for number in 0..130 {
            let uri = format!("/bucket/p/{folder}/{number:03}");
            fixture.done("PUT", &uri, &[], b"x").await;
        }
    }
    fixture.done("PUT", "/bucket/p/1", &[], b"x").await;
    let uri = "/bucket?list-type=2&prefix=p/&delimiter=/&max-keys=2";
    let first = fixture.done("GET", uri, &[], b"").await;
    assert_eq!(first.between("<CommonPrefixes><Prefix>", "<"), ["p/0/"]);
    assert_eq!(first.between("<Key>", "<"), ["p/1"]);
    let token = first
        .between("<NextContinuationToken>", "<")
        .pop()
        .expect("more follows");
    let uri = format!("{uri}&continuation-token={token}");
    let second = fixture.done("GET", &uri, &[], b"").await;
    assert_eq!(
        second.between("<CommonPrefixes><Prefix>", "<"),
        ["p/1/", "p/2/"]
    );
    assert!(second.text().contains("<IsTruncated>false</IsTruncated>"));
    let old = "/bucket?prefix=p/&delimiter=/&max-keys=1&marker=p/1";
    let old = fixture.done("GET", old, &[], b"").await;
    assert_eq!(old.between("<NextMarker>", "<"), ["p/1/"]);
    let none = fixture
        .done("GET", "/bucket?list-type=2&max-keys=0", &[], b"")
        .await;
    assert!(none.text().contains("<IsTruncated>false</IsTruncated>"));
    for uri in [
        "/bucket?list-type=2&max-keys=-1",
        "/bucket?list-type=2&continuation-token=%21",
    ] {
        fixture
            .refused(("GET", uri), &[], b"", (400, "InvalidArgument"))
            .await;
    }
}
