//! What is validated: a range of time, and the place of one trail's files.

use anyhow::Context as _;
use cairn_integrity::{DigestListing, KeyFolder, read_time};
use cairn_model::EventTime;
use cairn_platform::UnixMillis;

use super::ValidateLogsArguments;
use super::service::CloudTrail;

/// The range that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValidatedRange {
    pub(super) start: EventTime,
    pub(super) end: EventTime,
    pub(super) now: EventTime,
}

impl ValidatedRange {
    pub(super) fn read(start: &str, end: Option<&str>, now_ms: UnixMillis) -> anyhow::Result<Self> {
        let time = |text: &str| {
            read_time(text).with_context(|| format!("Unable to parse date value: {text}"))
        };
        let now = EventTime::from_micros(now_ms.saturating_mul(1_000))
            .context("this machine's clock is wrong")?;
        let start = time(start)?;
        let end = end.map_or(Ok(now), time)?;
        anyhow::ensure!(
            start <= end,
            "Invalid time range specified: start-time must occur before end-time"
        );
        Ok(Self { start, end, now })
    }
}

/// Where the files of one trail, account and Region lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TrailPlace {
    pub(super) bucket: String,
    prefix: Option<String>,
    organization: Option<String>,
    account: String,
    region: String,
    trail_name: String,
    pub(super) home_region: String,
}

impl TrailPlace {
    /// From the options alone: bucket and prefix are given. The AWS CLI then knows of no organization either.
    pub(super) fn given(arguments: &ValidateLogsArguments) -> anyhow::Result<Self> {
        let bucket = arguments.s3_bucket.clone().unwrap_or_default();
        let region = arguments.profile.region.clone();
        let mut place = Self::of_arn(&arguments.trail_arn, bucket)?;
        place.prefix.clone_from(&arguments.s3_prefix);
        place.region = region.unwrap_or_else(|| place.home_region.clone());
        if let Some(account) = &arguments.account_id {
            place.account.clone_from(account);
        }
        Ok(place)
    }

    /// From the options, and from the trail itself where they say nothing.
    pub(super) async fn find(
        arguments: &ValidateLogsArguments,
        service: &CloudTrail,
    ) -> anyhow::Result<Self> {
        let mut place = Self::given(arguments)?;
        service.region().clone_into(&mut place.region);
        if arguments.s3_bucket.is_some() {
            return Ok(place);
        }
        let trail = service.trail(&arguments.trail_arn).await?;
        place.bucket = trail.bucket;
        place.prefix = trail.prefix;
        if trail.is_organization {
            anyhow::ensure!(
                arguments.account_id.is_some(),
                "Missing required parameter for organization trail: '--account-id'"
            );
            place.organization = Some(service.organization_id(&arguments.profile).await?);
        }
        Ok(place)
    }

    fn of_arn(arn: &str, bucket: String) -> anyhow::Result<Self> {
        let malformed = || format!("Invalid trail ARN provided: {arn}");
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [
            first,
            partition,
            "cloudtrail",
            home_region,
            account,
            resource,
        ] = parts[..]
        else {
            anyhow::bail!(malformed());
        };
        let name = resource.strip_prefix("trail/").with_context(malformed)?;
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let are_named = ![partition, home_region, name].contains(&"");
        anyhow::ensure!(first == "arn" && is_account && are_named, malformed());
        Ok(Self {
            bucket,
            prefix: None,
            organization: None,
            account: account.to_owned(),
            region: home_region.to_owned(),
            // What follows the last slash, as the AWS CLI takes it; names have none.
            trail_name: name.rsplit('/').next().unwrap_or(name).to_owned(),
            home_region: home_region.to_owned(),
        })
    }

    pub(super) fn folder(&self) -> KeyFolder<'_> {
        KeyFolder {
            prefix: self.prefix.as_deref(),
            organization: self.organization.as_deref(),
            account: &self.account,
            region: &self.region,
        }
    }

    pub(super) fn listing(&self) -> DigestListing<'_> {
        DigestListing {
            folder: self.folder(),
            trail_name: &self.trail_name,
            home_region: &self.home_region,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Proves: REC-273
    #[test]
    fn a_range_is_read_in_utc_and_must_not_be_empty() {
        let read = |start, end| ValidatedRange::read(start, end, 1_767_225_600_000);
        let range = read("2025-01-01T00:00:00+05:00", None).expect("a range");
        assert_eq!(range.start.to_string(), "2025-01-01T00:00:00Z");
        assert_eq!(range.end.to_string(), "2026-01-01T00:00:00Z");
        let backwards = read("2025-01-02", Some("2025-01-01")).expect_err("backwards");
        assert!(
            backwards
                .to_string()
                .contains("start-time must occur before end-time")
        );
        let malformed = read("yesterday", None).expect_err("no time");
        assert_eq!(
            malformed.to_string(),
            "Unable to parse date value: yesterday"
        );
    }

    // Proves: REC-275
    #[test]
    fn an_arn_says_home_region_account_and_name() {
        let of_arn = |arn| TrailPlace::of_arn(arn, "b".to_owned());
        let place = of_arn("arn:aws:cloudtrail:us-east-2:111111111111:trail/My").expect("an ARN");
        let found = [&place.home_region, &place.account, &place.trail_name];
        assert_eq!(found, ["us-east-2", "111111111111", "My"]);
        for arn in [
            "My",
            "arn:aws:cloudtrail:us-east-2:1111:trail/My",
            "arn:aws:cloudtrail:us-east-2:111111111111:trail/",
            "arn:aws:cloudtrail::111111111111:trail/My",
            "arn:aws:s3:us-east-2:111111111111:trail/My",
            "arn:aws:cloudtrail:us-east-2:111111111111:channel/My",
        ] {
            let error = of_arn(arn).expect_err("no ARN of a trail");
            assert_eq!(
                error.to_string(),
                format!("Invalid trail ARN provided: {arn}")
            );
        }
    }
}
