//! One JSON line per fault run, appended to the file that `CAIRN_RESULTS` names, if it does: what
//! docs/reliability.md is made from.

use std::io::Write;

use cairn_model::EventTime;
use cairn_platform::{Clock, SystemClock};

/// What a run of a fault test shows. Nothing is lost or double, or the test would have failed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunResult {
    pub(crate) test: &'static str,
    pub(crate) runs: u64,
    pub(crate) acknowledged: u64,
    pub(crate) controls: u64,
    pub(crate) figure: (&'static str, u64),
}

#[expect(
    clippy::disallowed_methods,
    reason = "where results go is a setting of the test run"
)]
pub(crate) fn append(result: RunResult) {
    let Ok(path) = std::env::var("CAIRN_RESULTS") else {
        return;
    };
    let now = EventTime::from_micros(SystemClock::new().now_ms() * 1000).expect("a time of today");
    let RunResult {
        test,
        runs,
        acknowledged,
        controls,
        figure: (name, figure),
    } = result;
    let line = format!(
        "{{\"test\": \"{test}\", \"date\": \"{}\", \"commit\": \"{}\", \"runs\": {runs}, \
         \"acks\": {acknowledged}, \"lost\": 0, \"duplicates\": 0, \
         \"controls_caught\": {controls}, \"controls\": {controls}, \
         \"figures\": {{\"{name}\": {figure}}}}}\n",
        &now.to_string()[..10],
        commit(),
    );
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path);
    let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    written.expect("the results file can be written");
}

fn commit() -> String {
    let output = std::process::Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}
