//! Integration tests of the model: one line on what belongs in each module.

/// Cutting batches into events.
mod batch;
/// Example records of every kind, from `tests/corpus/examples`.
mod examples;
/// What every parser of foreign bytes must do with any bytes at all, and with the fuzzers' saved inputs.
mod foreign_bytes;
/// The stored form of routing headers.
mod header;
/// Both layouts of Insights events.
mod insights;
/// The JSON reader beside serde_json.
mod json;
/// The whole of a real account's log files.
mod real_events;
/// Canonical records: required members, types, limits, completion.
mod record;
/// The class of an event.
mod record_class;
/// Event selectors: what a trail collects.
mod selectors;
