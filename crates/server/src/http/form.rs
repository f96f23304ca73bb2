//! `name=value` pairs, as query strings and forms write them.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The pairs in order, decoded. Whether they must be UTF-8 is for the reader to say.
pub(crate) fn decoded_pairs(text: &str) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

fn decoded(text: &str) -> Vec<u8> {
    let spaced = text.replace('+', " ");
    Cow::from(percent_decode_str(&spaced)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_as_browsers_write_them() {
        let pairs = decoded_pairs("a=1&&b=x+y%20%26&c&=d&e=f=g&h=%ff%4");
        let shown: Vec<String> = pairs
            .map(|(name, value)| {
                let (name, value) = (name.escape_ascii(), value.escape_ascii());
                format!("{name}:{value}")
            })
            .collect();
        assert_eq!(shown, ["a:1", "b:x y &", "c:", ":d", "e:f=g", "h:\\xff%4"]);
    }
}
