//! One JSON line per fault run, appended to the file that `CAIRN_RESULTS` names, if it does: what
//! docs/reliability.md is made from. `CAIRN_AMOUNTS=full` asks for the plan's full amounts.

use std::io::Write as _;

use cairn_model::EventTime;
use cairn_platform::{Clock as _, SystemClock};
use serde_json::Value;

#[expect(clippy::disallowed_methods, reason = "settings of the test run")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The usual amount, or the plan's.
pub(crate) fn amount<T>(usual: T, full: T) -> T {
    if setting("CAIRN_AMOUNTS").as_deref() == Some("full") {
        full
    } else {
        usual
    }
}

/// Appends a line; `values` are members beside the test's name.
pub(crate) fn record(test: &str, mut values: Value) {
    let Some(path) = setting("CAIRN_RESULTS") else {
        return;
    };
    let now = EventTime::from_micros(SystemClock::new().now_ms() * 1000).expect("a time of today");
    let commit = std::process::Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .output();
    let commit = commit
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default();
    values["test"] = test.into();
    values["date"] = now.to_string()[..10].into();
    values["commit"] = commit.into();
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path);
    let written = file.and_then(|mut file| writeln!(file, "{values}"));
    written.expect("the results file can be written");
}
