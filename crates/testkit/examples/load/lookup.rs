//! Lookups, one after another: the first page for each question, by attribute.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cairn_platform::Clock;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::connection::{Call, Target};
use crate::{Options, latency};

pub(crate) const HEADERS: &[(&str, &str)] = &[
    ("content-type", "application/x-amz-json-1.1"),
    ("x-amz-target", "CloudTrail_20131101.LookupEvents"),
];

/// One line of the questions file: an attribute (or `none`) and the parameters to send.
#[derive(Debug, Deserialize)]
struct Question {
    attribute: String,
    parameters: Value,
}

pub(crate) fn run(target: &Target, options: &Options) -> Result<Value> {
    let path = options.text("questions")?;
    let repeat = options.number("repeat", 200)?;
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let mut by_attribute: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in text.lines() {
        let question: Question = serde_json::from_str(line).context("a question")?;
        by_attribute
            .entry(question.attribute)
            .or_default()
            .push(question.parameters);
    }
    let mut figures = serde_json::Map::new();
    for (attribute, questions) in by_attribute {
        let asked = questions.iter().cycle().take(usize::try_from(repeat)?);
        figures.insert(attribute, ask(target, asked)?);
    }
    Ok(Value::Object(figures))
}

fn ask<'a>(target: &Target, questions: impl Iterator<Item = &'a Value>) -> Result<Value> {
    let mut connection = target.connect()?;
    let mut durations: Vec<Duration> = Vec::new();
    let mut rows = 0_usize;
    for parameters in questions {
        let body = parameters.to_string().into_bytes();
        let call = Call {
            path: "/",
            service: "cloudtrail",
            headers: HEADERS,
            body: &body,
        };
        let head = target.signed_head(&call)?;
        let sent = target.clock().monotonic();
        let (status, answer) = connection.exchange(&head, &body)?;
        durations.push(target.clock().monotonic().saturating_sub(sent));
        ensure!(
            status == 200,
            "{status} {}",
            String::from_utf8_lossy(&answer)
        );
        let answer: Value = serde_json::from_slice(&answer).context("answer")?;
        rows += answer["Events"].as_array().map_or(0, Vec::len);
    }
    let asked = durations.len();
    let mut figures = latency::summary(durations);
    figures["lookups"] = json!(asked);
    figures["rows"] = json!(rows);
    Ok(figures)
}
