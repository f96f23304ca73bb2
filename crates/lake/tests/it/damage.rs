//! C5 for what stands behind the log: a stopped node's catalog file, its write-ahead log, data files,
//! manifests, metadata and hot objects are flipped, cut, zeroed, swapped, lost and replaced by older
//! copies. No lookup may show a row that was not sent, or one twice; a row that is missing must have been
//! reported. `CAIRN_MUTATIONS` sets how many.

mod mutation;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cairn_catalog::Catalog;
use cairn_eventlog::{EventLog, MemoryLog};
use cairn_lake::{Lake, LakeConfig, LakeError, LookupEvent, LookupQuery, LookupSource};
use cairn_model::Sequence;
use cairn_platform::{Clock, Entropy, ManualClock, SeededEntropy};

use crate::results;
use crate::stage::{NOW_MS, PARTITION, Stage, events, record};
use mutation::{Files, Mutation, mutate, read_folder, write_folder};

const MUTATIONS: u64 = 150;
const EVENTS: u32 = 120;
/// Events after the last commit: they are in hot objects and in the log.
const HOT_FROM: u32 = 90;

/// A node as it was left: its files, some of them as they were before, and what it had been sent.
struct Stopped {
    files: Files,
    earlier: Files,
    sent: Vec<String>,
    committed: Sequence,
}

/// Four commits, one compaction, then hot objects; left without a clean end.
async fn stopped() -> Stopped {
    let mut stage = Stage::new().await;
    stage.config.compaction_files_min = 2;
    let lake = stage.open().await;
    let mut earlier = Files::new();
    for start in [0, 30, 60] {
        stage.append(&events(start..start + 30)).await;
        lake.flush().await.expect("it works");
        if start == 30 {
            stage.clock.advance(Duration::from_mins(11));
            lake.maintain().await.expect("it works");
            earlier = read_folder(stage.folder());
        }
    }
    let committed = stage.log.start(PARTITION);
    for start in [HOT_FROM, HOT_FROM + 10, HOT_FROM + 20] {
        stage.append(&events(start..start + 10)).await;
        lake.ingest().await.expect("it works");
    }
    Stopped {
        files: read_folder(stage.folder()),
        earlier,
        sent: events(0..EVENTS),
        committed,
    }
}

/// The log behind the node, as its own files would give it back.
async fn log_of(stopped: &Stopped, clock: &ManualClock) -> Arc<MemoryLog> {
    let log = Arc::new(MemoryLog::new(Arc::new(clock.clone()), 256 << 20, 64 << 20));
    let records = stopped.sent.iter().map(|event| record(event)).collect();
    log.append_durable(PARTITION, records).await.expect("room");
    log.advance_reader(PARTITION, "lake", stopped.committed);
    log
}

/// What a start on damaged files shows.
#[derive(Debug, Default)]
struct Seen {
    /// Errors, refusals and counted repairs: what an operator gets to know.
    reports: Vec<String>,
    events: Vec<LookupEvent>,
}

async fn look(stopped: &Stopped, files: &Files, goes_on: bool) -> Seen {
    let memory = Path::new("/dev/shm");
    let folder = tempfile::tempdir_in(if memory.is_dir() {
        memory
    } else {
        Path::new(".")
    });
    let folder = folder.expect("a folder");
    write_folder(folder.path(), files);
    let clock = ManualClock::at(NOW_MS);
    let log = log_of(stopped, &clock).await;
    let mut seen = Seen::default();
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let path = folder.path().join("catalog.sqlite");
    let catalog = match Catalog::open(&path, Arc::clone(&shared)).await {
        Ok(catalog) => Arc::new(catalog),
        Err(error) => {
            seen.reports.push(error.to_string());
            return seen;
        }
    };
    let config = LakeConfig {
        compaction_files_min: 2,
        data_dir: folder.path().join("lake"),
        ..LakeConfig::default()
    };
    let entropy = Arc::new(SeededEntropy::new(77));
    let opened = Lake::open(config, Arc::clone(&catalog) as _, log, shared, entropy).await;
    match opened {
        Ok(lake) => {
            let mut report = |done: Result<(), LakeError>| {
                seen.reports
                    .extend(done.err().map(|error| error.to_string()));
            };
            // What the writer does first in every process.
            report(lake.ingest().await);
            if goes_on {
                // A node that goes on to write must not carry the damage further.
                report(lake.flush().await);
                clock.advance(Duration::from_mins(11));
                report(lake.maintain().await);
            }
            look_up(&lake, &mut seen).await;
        }
        Err(error) => seen.reports.push(error.to_string()),
    }
    catalog.close().await;
    seen
}

async fn look_up(lake: &Lake, seen: &mut Seen) {
    for account in ["111111111111", "222222222222"] {
        for region in ["us-east-1", "eu-west-1", "ap-south-1"] {
            let mut query = LookupQuery {
                account: account.parse().expect("valid"),
                region: region.parse().expect("valid"),
                source: LookupSource::Management,
                attribute: None,
                start: None,
                end: None,
                max_results: 50,
                after: None,
            };
            loop {
                match lake.lookup(query.clone()).await {
                    Ok(page) => {
                        seen.events.extend(page.events);
                        query.after = page.next;
                    }
                    Err(error) => {
                        seen.reports.push(error.to_string());
                        break;
                    }
                }
                if query.after.is_none() {
                    break;
                }
            }
        }
    }
    let counts = lake.status().counts;
    for (what, count) in [
        ("hot objects made again", counts.rebuilt_hot_objects),
        ("records lost", counts.lost),
        ("events quarantined", counts.quarantined),
    ] {
        if count > 0 {
            seen.reports.push(format!("{count} {what}"));
        }
    }
}

/// All that a lookup says of an event.
fn shown(event: &LookupEvent) -> String {
    format!("{event:?}")
}

/// What is wrong, if anything; and whether the damage was reported.
fn judge(truth: &BTreeMap<String, String>, seen: &Seen) -> (Option<String>, bool) {
    let mut found = BTreeSet::new();
    for event in &seen.events {
        if truth.get(&event.event_id) != Some(&shown(event)) {
            return (Some(format!("a wrong row: {}", shown(event))), false);
        }
        if !found.insert(event.event_id.clone()) {
            return (Some(format!("{} twice", event.event_id)), false);
        }
    }
    let missing = truth.len() - found.len();
    if missing > 0 && seen.reports.is_empty() {
        return (
            Some(format!("{missing} rows are missing in silence")),
            false,
        );
    }
    (None, !seen.reports.is_empty())
}

fn random_mutation(stopped: &Stopped, seed: u64) -> Mutation {
    let random = SeededEntropy::new(seed);
    let mut below = |bound: usize| {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % bound as u64).expect("below the bound")
    };
    mutate(&stopped.files, &stopped.earlier, &mut below)
}

async fn truth_of(stopped: &Stopped) -> BTreeMap<String, String> {
    let whole = look(stopped, &stopped.files, false).await;
    assert_eq!(whole.reports, Vec::<String>::new());
    assert_eq!(whole.events.len(), stopped.sent.len());
    let pairs = whole.events.iter();
    pairs
        .map(|event| (event.event_id.clone(), shown(event)))
        .collect()
}

// Proves: C5, R4
#[tokio::test]
async fn no_damage_behind_the_log_makes_a_wrong_row() {
    let stopped = stopped().await;
    let truth = truth_of(&stopped).await;
    let (mut reported, mut wrong) = (0, Vec::new());
    let mutations = results::mutations(MUTATIONS);
    for seed in 0..mutations {
        let mutation = random_mutation(&stopped, seed);
        let seen = look(&stopped, &mutation.files, seed % 2 == 1).await;
        let (problem, was_reported) = judge(&truth, &seen);
        reported += u64::from(was_reported);
        wrong.extend(problem.map(|problem| format!("seed {seed}: {}: {problem}", mutation.what)));
    }
    assert!(
        wrong.is_empty(),
        "{} of {mutations}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(reported > mutations / 3, "only {reported} were reported");
    let figures = format!("\"reported\": {reported}, \"wrong rows\": 0");
    results::append("C5 damaged catalog and lake", mutations, &figures);
}

/// The judge is worth what it catches.
#[tokio::test]
async fn the_judge_finds_wrong_double_and_missing_rows() {
    let stopped = stopped().await;
    let truth = truth_of(&stopped).await;
    let whole = look(&stopped, &stopped.files, false).await.events;
    let judged = |events: Vec<LookupEvent>| {
        let reports = Vec::new();
        judge(&truth, &Seen { reports, events }).0.is_some()
    };
    assert!(!judged(whole.clone()));
    assert!(judged(whole[1..].to_vec()), "a missing row");
    assert!(judged([&whole[..], &whole[..1]].concat()), "a double row");
    let mut changed = whole;
    changed[3].user_name = Some("somebody".to_owned());
    assert!(judged(changed), "a changed row");
}
