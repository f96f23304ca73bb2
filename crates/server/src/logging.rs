//! The process's log: structured, on standard error, as text or as one JSON object a line. What users
//! send stands in fields only, with control characters escaped, never in format strings (R23, H6).

use std::fmt;

use tracing::field::{Field, Visit};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

use crate::config::{LogConfig, LogFormat};

/// Libraries that would log requests whole, headers and bodies included (R23), whatever level is asked
/// for. What breaks in them comes back to us as an error.
const QUIET: [&str; 1] = ["s3s=off"];

/// Begins logging. A second call, as in tests, changes nothing.
pub(crate) fn start(config: &LogConfig) -> Result<(), String> {
    let mut filter = EnvFilter::try_new(&config.level).map_err(|error| error.to_string())?;
    for directive in QUIET {
        let directive = directive.parse().expect("the directives are constants");
        filter = filter.add_directive(directive);
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A line that cannot be written is dropped: to complain on the same full disk would panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let started = match config.format {
        LogFormat::Text => builder.fmt_fields(EscapedFields).try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .try_init(),
    };
    // Another subscriber is in place: it was there first, and it logs.
    drop(started);
    Ok(())
}

/// Fields as `name=value`, with everything that could start a line or colour a terminal escaped.
#[derive(Debug)]
struct EscapedFields;

impl<'writer> FormatFields<'writer> for EscapedFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = EscapingVisitor {
            writer,
            result: Ok(()),
            first: true,
        };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct EscapingVisitor<'writer> {
    writer: Writer<'writer>,
    result: fmt::Result,
    first: bool,
}

impl Visit for EscapingVisitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let gap = if self.first { "" } else { " " };
        self.first = false;
        let text = format!("{value:?}");
        let written = match field.name() {
            "message" => write!(self.writer, "{gap}{}", Escaped(&text)),
            name => write!(self.writer, "{gap}{name}={}", Escaped(&text)),
        };
        self.result = self.result.and(written);
    }
}

/// A text without control characters.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
                write!(f, "{}", c.escape_unicode())?;
            } else {
                fmt::Write::write_char(f, c)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_cannot_forge_a_line() {
        let shown = Escaped("name\r\n2026 INFO fine \u{1b}[31m\u{2028}").to_string();
        assert_eq!(shown, "name\\u{d}\\u{a}2026 INFO fine \\u{1b}[31m\\u{2028}");
    }
}
