//! The configuration reference, written from the table so that it cannot go stale.

use std::fmt::Write;

use super::layers::expectation;
use super::settings::{Kind, SETTINGS};

const INTRODUCTION: &str = "\
<!-- Written by `cairn serve --print-config-reference`; do not edit by hand. -->

# Configuration

Every setting has a default: an empty file, or none, boots a working node. Later sources win:
defaults, then the file given with `--config` (TOML, one table per section), then the environment
(`CAIRN_<SECTION>_<KEY>`), then flags. A key or a `CAIRN_` variable that does not exist is refused by
name. `cairn serve --print-config` shows the result and where each value came from, without secrets.

Durations carry a unit: `250ms`, `5s`, `10m`, `1h`, `90d`. Sizes are bytes or carry one: `64KiB`,
`10MB`, `1GiB`. Lists are arrays in the file and separated by commas in the environment.
";

/// `docs/configuration.md`, complete.
pub fn reference_page() -> String {
    let mut page = String::from(INTRODUCTION);
    let mut section = "";
    for setting in SETTINGS {
        if setting.section != section {
            section = setting.section;
            let _ = write!(
                page,
                "\n## [{section}]\n\n| key | default | value | meaning |\n| --- | --- | --- | --- |\n"
            );
        }
        let default = match (setting.kind, setting.default) {
            (_, "") => "none".into(),
            (Kind::List, list) => format!("`{}`", list.replace(',', ", ")),
            (_, default) => format!("`{default}`"),
        };
        let _ = writeln!(
            page,
            "| `{}` | {default} | {} | {} |",
            setting.key,
            expectation(setting.kind),
            setting.meaning.replace('|', "\\|"),
        );
    }
    page
}
