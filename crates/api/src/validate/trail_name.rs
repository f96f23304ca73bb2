//! The naming rules of trails (TRL-274 to TRL-278), with AWS's words for each.

const CHARACTERS_MIN: usize = 3;
const CHARACTERS_MAX: usize = 128;

/// Whether `name` can name a trail; otherwise what is wrong with it.
pub(super) fn check(name: &str) -> Result<(), String> {
    let length = name.chars().count();
    if name.is_empty() {
        return Err("Trail name cannot be blank!".to_owned());
    }
    if length < CHARACTERS_MIN {
        return Err(format!(
            "Trail name too short. Minimum allowed length: {CHARACTERS_MIN} characters. \
             Specified name length: {length} characters."
        ));
    }
    if length > CHARACTERS_MAX {
        return Err(format!(
            "Trail name too long. Maximum allowed length: {CHARACTERS_MAX} characters. \
             Specified name length: {length} characters."
        ));
    }
    if !name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || is_separator(c))
    {
        let message = "Trail name or ARN can only contain uppercase letters, lowercase letters, \
                       numbers, periods (.), hyphens (-), and underscores (_).";
        return Err(message.to_owned());
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err("Trail name must start with a letter or number.".to_owned());
    }
    if !name.ends_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err("Trail name must end with a letter or number.".to_owned());
    }
    let mut pairs = name.chars().zip(name.chars().skip(1));
    if pairs.any(|(first, second)| is_separator(first) && is_separator(second)) {
        let message = "Trail name cannot contain two adjacent periods, hyphens or underscores.";
        return Err(message.to_owned());
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err("Trail name cannot be in the form of an IP address.".to_owned());
    }
    Ok(())
}

fn is_separator(character: char) -> bool {
    matches!(character, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::check;

    // Proves: TRL-274, TRL-275, TRL-276, TRL-277, TRL-278
    #[test]
    fn names_keep_to_the_rules() {
        for name in ["abc", "a.b-c_d9", "1a1", &"a".repeat(128), "192.168.5.4a"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in [
            "",
            "ab",
            &"a".repeat(129),
            "a b",
            "tränen",
            "-abc",
            "abc.",
            "my-_namespace",
            "a..b",
            "192.168.5.4",
        ] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
