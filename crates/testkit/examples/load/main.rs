//! Load for a running server, cheap enough to share two cores with it: durable ingest with bodies
//! that are only patched between batches, and lookups one after another. Prints one JSON line.

#![expect(clippy::print_stdout, reason = "a program that prints its figures")]

mod connection;
mod corpus;
mod ingest;
mod latency;
mod lookup;
mod visibility;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use connection::Target;

const USAGE: &str = "\
load ingest --endpoint HOST:PORT --credentials FILE --events FILE [--seconds 60] [--connections 8]
            [--batch 500] [--rate EVENTS_PER_SECOND] [--times now]
load visibility, with the same options: how long acknowledged events take to show meanwhile
load lookup --endpoint HOST:PORT --credentials FILE --questions FILE [--repeat 200]";

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let options = Options::read(words)?;
    let target = Target::new(options.text("endpoint")?, options.text("credentials")?)?;
    let figures = match command.as_str() {
        "ingest" => ingest::run(&target, &options)?,
        "visibility" => visibility::run(&target, &options)?,
        "lookup" => lookup::run(&target, &options)?,
        _ => bail!("unknown command {command:?}\n{USAGE}"),
    };
    println!("{figures}");
    Ok(())
}

/// `--name value` pairs.
struct Options(BTreeMap<String, String>);

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = BTreeMap::new();
        while let Some(word) = words.next() {
            let name = word
                .strip_prefix("--")
                .with_context(|| format!("{word}?\n{USAGE}"))?;
            let value = words
                .next()
                .with_context(|| format!("--{name} lacks its value"))?;
            options.insert(name.to_owned(), value);
        }
        Ok(Self(options))
    }

    fn text(&self, name: &str) -> Result<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .with_context(|| format!("--{name} is missing"))
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.0.get(name).is_some_and(|given| given == value)
    }

    fn number(&self, name: &str, default: u64) -> Result<u64> {
        match self.0.get(name) {
            Some(text) => text.parse().with_context(|| format!("--{name} {text}")),
            None => Ok(default),
        }
    }
}
