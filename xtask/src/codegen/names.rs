//! Rust names from AWS's names.

/// `S3BucketName` → `s3_bucket_name`, `TrailARN` → `trail_arn`, `eventID` → `event_id`.
pub(super) fn snake_case(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (index, &character) in characters.iter().enumerate() {
        let previous = index
            .checked_sub(1)
            .and_then(|before| characters.get(before));
        let next = characters.get(index + 1);
        let after_small = previous.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let ends_capitals = previous.is_some_and(char::is_ascii_uppercase)
            && next.is_some_and(char::is_ascii_lowercase);
        if character.is_ascii_uppercase() && (after_small || ends_capitals) {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

/// The name of a field, escaped where it is a keyword.
pub(super) fn field(name: &str) -> String {
    let name = snake_case(name);
    if name == "type" {
        "r#type".to_owned()
    } else {
        name
    }
}

/// The name of a static table.
pub(super) fn table(name: &str) -> String {
    snake_case(name).to_ascii_uppercase()
}

/// The name of a variant: `STARTING_INGESTION` → `StartingIngestion`, `insight` → `Insight`.
pub(super) fn variant(value: &str) -> String {
    let all_capitals = !value.chars().any(|c| c.is_ascii_lowercase());
    let mut name = String::with_capacity(value.len());
    for word in value.split(|c: char| !c.is_ascii_alphanumeric()) {
        let mut characters = word.chars();
        if let Some(first) = characters.next() {
            name.push(first.to_ascii_uppercase());
            for character in characters {
                name.push(if all_capitals {
                    character.to_ascii_lowercase()
                } else {
                    character
                });
            }
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::{field, snake_case, table, variant};

    #[test]
    fn names_keep_their_words() {
        for (aws, rust) in [
            ("S3BucketName", "s3_bucket_name"),
            ("TrailARN", "trail_arn"),
            ("eventID", "event_id"),
            ("SQL", "sql"),
            ("S3", "s3"),
            (
                "LatestIngestionAttemptEventID",
                "latest_ingestion_attempt_event_id",
            ),
            ("includeShadowTrails", "include_shadow_trails"),
            ("DeliveryS3Uri", "delivery_s3_uri"),
        ] {
            assert_eq!(snake_case(aws), rust);
        }
        assert_eq!(field("Type"), "r#type");
        assert_eq!(table("LookupEventsRequest"), "LOOKUP_EVENTS_REQUEST");
        assert_eq!(variant("STARTING_INGESTION"), "StartingIngestion");
        assert_eq!(variant("ApiCallRateInsight"), "ApiCallRateInsight");
        assert_eq!(variant("insight"), "Insight");
    }
}
