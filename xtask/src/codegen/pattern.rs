//! The models' patterns are Java regular expressions, matched against the whole value. This module rewrites them for
//! the `regex` crate, whose classes are Unicode's and whose escapes differ, and refuses what it does not know.

use std::fmt::Write as _;

use anyhow::{Context, bail};

/// The pattern in the syntax of the `regex` crate, anchored at both ends.
pub(super) fn translate(java: &str) -> anyhow::Result<String> {
    let characters: Vec<char> = java.chars().collect();
    let dot_matches_all = java.starts_with("(?s)");
    let mut translated = String::from(r"\A(?:");
    let mut in_class = false;
    let mut index = 0;
    while let Some(&character) = characters.get(index) {
        index += 1;
        match character {
            '\\' => {
                let escaped = *characters
                    .get(index)
                    .context("a pattern ends in a backslash")?;
                index += 1;
                let class = match escaped {
                    // Java's classes are ASCII unless asked otherwise.
                    'd' => Some("0-9"),
                    'w' => Some("0-9A-Za-z_"),
                    's' => Some(r" \t\n\x0B\x0C\r"),
                    _ => None,
                };
                match (class, escaped) {
                    (Some(class), _) if in_class => translated.push_str(class),
                    (Some(class), _) => translated.extend(["[", class, "]"]),
                    (None, 'u') => {
                        let (scalar, used) = unicode_escape(&characters, index)?;
                        write!(translated, r"\x{{{scalar:X}}}")?;
                        index += used;
                    }
                    (None, 't' | 'n' | 'r') => translated.extend(['\\', escaped]),
                    (None, other) if other.is_ascii_punctuation() => {
                        translated.extend(['\\', other]);
                    }
                    (None, other) => bail!("unknown escape \\{other} in pattern {java}"),
                }
            }
            '[' if !in_class => {
                in_class = true;
                translated.push('[');
                if characters.get(index) == Some(&'^') {
                    translated.push('^');
                    index += 1;
                }
            }
            ']' if in_class => {
                in_class = false;
                translated.push(']');
            }
            // Inside a class these are set operators in one of the two dialects.
            '[' | '&' | '~' if in_class => translated.extend(['\\', character]),
            // Java's dot stops at more line ends than this crate's.
            '.' if !in_class && !dot_matches_all => {
                translated.push_str(r"[^\n\r\x{85}\x{2028}\x{2029}]");
            }
            other => translated.push(other),
        }
    }
    if in_class {
        bail!("unclosed class in pattern {java}");
    }
    translated.push_str(r")\z");
    Ok(translated)
}

/// The scalar value of a `\uXXXX` whose digits begin at `index`, and the characters used. Java writes characters
/// beyond the basic plane as two such escapes, which mean one character also inside a class.
fn unicode_escape(characters: &[char], index: usize) -> anyhow::Result<(u32, usize)> {
    let unit = code_unit(characters, index)?;
    if !(0xD800..0xDC00).contains(&unit) {
        return Ok((unit, 4));
    }
    let escape = characters.get(index + 4..index + 6);
    if escape != Some(&['\\', 'u']) {
        bail!("a lone surrogate in a pattern");
    }
    let low = code_unit(characters, index + 6)?;
    if !(0xDC00..0xE000).contains(&low) {
        bail!("a lone surrogate in a pattern");
    }
    Ok((0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00), 10))
}

fn code_unit(characters: &[char], index: usize) -> anyhow::Result<u32> {
    let digits: String = characters
        .get(index..index + 4)
        .context("a short \\u escape")?
        .iter()
        .collect();
    u32::from_str_radix(&digits, 16).context("a \\u escape without hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use super::translate;

    #[test]
    fn classes_become_ascii() {
        assert_eq!(translate(r"\d+").expect("known"), r"\A(?:[0-9]+)\z");
        let translated = translate(r"[\w|\d|\.|_]+").expect("known");
        assert_eq!(translated, r"\A(?:[0-9A-Za-z_|0-9|\.|_]+)\z");
    }

    #[test]
    fn dot_stops_where_java_stops() {
        assert_eq!(
            translate(".*").expect("known"),
            r"\A(?:[^\n\r\x{85}\x{2028}\x{2029}]*)\z"
        );
        assert_eq!(translate("(?s).*").expect("known"), r"\A(?:(?s).*)\z");
    }

    #[test]
    fn surrogate_pairs_are_one_character() {
        let translated = translate(r"[\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*").expect("known");
        assert_eq!(
            translated,
            r"\A(?:[\x{E000}-\x{FFFD}\x{10000}-\x{10FFFF}\t]*)\z"
        );
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for pattern in [r"\p{Alpha}", r"\uD800x", "[a", "\\"] {
            assert!(translate(pattern).is_err(), "{pattern}");
        }
    }
}
