//! One JSON line per fault run, appended to the file that `CAIRN_RESULTS` names, if it does: what
//! docs/reliability.md is made from.

use std::io::Write;

use cairn_model::EventTime;
use cairn_platform::{Clock, SystemClock};

#[expect(clippy::disallowed_methods, reason = "settings of the test run")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// `CAIRN_MUTATIONS`, or the usual number.
pub(crate) fn mutations(usual: u64) -> u64 {
    let set = setting("CAIRN_MUTATIONS").and_then(|text| text.parse().ok());
    set.unwrap_or(usual)
}

/// `figures` are the members of a JSON object.
pub(crate) fn append(test: &str, runs: u64, figures: &str) {
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
    let line = format!(
        "{{\"test\": \"{test}\", \"date\": \"{}\", \"commit\": \"{commit}\", \
         \"runs\": {runs}, \"figures\": {{{figures}}}}}\n",
        &now.to_string()[..10],
    );
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path);
    let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    written.expect("the results file can be written");
}
