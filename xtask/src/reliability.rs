//! Makes the tables of `docs/reliability.md` from `docs/reliability-results.jsonl`, to which every
//! fault run appends one line. The page's prose stays as written; only the marked part is replaced.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

const RESULTS: &str = "docs/reliability-results.jsonl";
const PAGE: &str = "docs/reliability.md";
const BEGIN: &str = "<!-- made by cargo xtask reliability: begin -->\n";
const END: &str = "<!-- made by cargo xtask reliability: end -->\n";

/// Below this many runs a bound says nothing.
const BOUNDED_RUNS_MIN: u64 = 10;

/// One run of one fault test. Unknown figures are kept and shown.
#[derive(Debug, Deserialize)]
struct RunResult {
    test: String,
    date: String,
    #[serde(default)]
    commit: String,
    #[serde(default)]
    runs: u64,
    #[serde(default)]
    acks: u64,
    /// Tests that found the promise broken, or did not come to their end.
    #[serde(default)]
    failed: u64,
    #[serde(default)]
    lost: u64,
    #[serde(default)]
    duplicates: u64,
    #[serde(default)]
    controls_caught: u64,
    #[serde(default)]
    controls: u64,
    #[serde(default)]
    figures: BTreeMap<String, serde_json::Value>,
}

/// The runs of one test on one commit, added up; figures are those of the last run.
#[derive(Debug, Default)]
struct Row {
    last_date: String,
    commit: String,
    runs: u64,
    failed: u64,
    acks: u64,
    lost: u64,
    duplicates: u64,
    controls_caught: u64,
    controls: u64,
    figures: BTreeMap<String, serde_json::Value>,
}

pub(crate) fn write(root: &Path) -> Result<()> {
    let path = root.join(PAGE);
    std::fs::write(&path, current_page(root)?).with_context(|| format!("cannot write {PAGE}"))
}

pub(crate) fn check(root: &Path) -> Result<()> {
    let found = std::fs::read_to_string(root.join(PAGE)).with_context(|| PAGE.to_owned())?;
    if found != current_page(root)? {
        bail!("{PAGE} is behind {RESULTS}: run `cargo xtask reliability`");
    }
    Ok(())
}

fn current_page(root: &Path) -> Result<String> {
    let page = std::fs::read_to_string(root.join(PAGE)).with_context(|| PAGE.to_owned())?;
    let results =
        std::fs::read_to_string(root.join(RESULTS)).with_context(|| RESULTS.to_owned())?;
    let (before, rest) = page
        .split_once(BEGIN)
        .context("the page lacks its begin mark")?;
    let (_, after) = rest
        .split_once(END)
        .context("the page lacks its end mark")?;
    Ok(format!(
        "{before}{BEGIN}{}{END}{after}",
        table(&read(&results)?)
    ))
}

/// Each test as of the newest commit that it ran on: runs of different programs prove nothing together.
fn read(results: &str) -> Result<BTreeMap<String, Row>> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for (index, line) in results.lines().enumerate() {
        let result: RunResult =
            serde_json::from_str(line).with_context(|| format!("{RESULTS}:{}", index + 1))?;
        let row = rows.entry(result.test).or_default();
        if row.commit != result.commit {
            *row = Row {
                commit: result.commit,
                ..Row::default()
            };
        }
        row.last_date = result.date;
        row.runs += result.runs;
        row.failed += result.failed;
        row.acks += result.acks;
        row.lost += result.lost;
        row.duplicates += result.duplicates;
        row.controls_caught += result.controls_caught;
        row.controls += result.controls;
        if !result.figures.is_empty() {
            row.figures = result.figures;
        }
    }
    Ok(rows)
}

fn table(rows: &BTreeMap<String, Row>) -> String {
    let mut text = String::from(
        "| test | last run | runs | failed | events acknowledged | lost | duplicates | \
         loss per run (95 %) | controls caught | figures of the last run |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n",
    );
    for (test, row) in rows {
        let Row {
            last_date,
            commit,
            runs,
            failed,
            acks,
            lost,
            duplicates,
            ..
        } = row;
        let bound = loss_bound(row);
        let controls = if row.controls == 0 {
            "–".to_owned()
        } else {
            format!("{}/{}", row.controls_caught, row.controls)
        };
        let figures: Vec<String> = row
            .figures
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        let _ = writeln!(
            text,
            "| {test} | {last_date} {commit} | {runs} | {failed} | {acks} | {lost} | \
             {duplicates} | {bound} | {controls} | {} |",
            figures.join(", ")
        );
    }
    let planted: u64 = rows.values().map(|row| row.controls).sum();
    let caught: u64 = rows.values().map(|row| row.controls_caught).sum();
    let _ = writeln!(
        text,
        "\nPlanted faults caught, all tests: {caught}/{planted}."
    );
    text
}

/// The rule of three: no loss in n runs bounds the loss probability of a run at 3/n (95 %).
fn loss_bound(row: &Row) -> String {
    if row.acks == 0 || row.runs < BOUNDED_RUNS_MIN || row.lost > 0 || row.failed > 0 {
        return "–".to_owned();
    }
    let per_ten_thousand = 30_000 / row.runs;
    format!(
        "≤ {}.{:02} %",
        per_ten_thousand / 100,
        per_ten_thousand % 100
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_test_add_up() {
        let results = concat!(
            r#"{"test":"C1","date":"2026-11-20","runs":50,"acks":10,"lost":0,"duplicates":0}"#,
            "\n",
            r#"{"test":"C1","date":"2026-11-21","runs":950,"acks":5,"lost":0,"duplicates":0}"#,
            "\n",
        );
        let rows = read(results).unwrap();
        assert_eq!((rows["C1"].runs, rows["C1"].acks), (1_000, 15));
        assert!(table(&rows).contains("≤ 0.30 %"), "{}", table(&rows));
    }

    #[test]
    fn neither_a_loss_nor_a_failed_run_has_a_bound() {
        for broken in [r#""lost":1"#, r#""failed":1"#] {
            let line = format!(r#"{{"test":"C1","date":"d","runs":99,"acks":9,{broken}}}"#);
            assert!(!table(&read(&line).unwrap()).contains('≤'));
        }
    }

    #[test]
    fn a_row_is_of_one_commit() {
        let results = concat!(
            r#"{"test":"C1","date":"d","commit":"a","runs":50,"acks":10}"#,
            "\n",
            r#"{"test":"C1","date":"d","commit":"b","controls":1,"controls_caught":1}"#,
            "\n",
        );
        let rows = read(results).unwrap();
        let row = &rows["C1"];
        assert_eq!((row.commit.as_str(), row.runs, row.controls), ("b", 0, 1));
    }
}
