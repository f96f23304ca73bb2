//! What a request sets of a trail: the members of CreateTrail and UpdateTrail, held to the rules that need nothing but
//! the request, in the order in which they stand in `docs/trails.md`.
//!
//! A member that is not given changes nothing (TRL-053); an empty text takes the setting away.

use cairn_api::cloudtrail::inputs::UpdateTrailRequest;
use cairn_api::{ApiError, ErrorCode};
use cairn_model::{AccountId, Arn, LogGroup, Region, SnsTopic, TrailSettings};

use super::Request;
use crate::trail_destinations::{KeyReference, SetDestinations};

/// The longest prefix, in characters.
const PREFIX_CHARACTERS_MAX: usize = 200;

/// What is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GivenSettings {
    bucket: Option<String>,
    key_prefix: Given<String>,
    sns_topic: Given<SnsTopic>,
    includes_global_service_events: Option<bool>,
    is_multi_region: Option<bool>,
    validates_log_files: Option<bool>,
    key: Given<KeyReference>,
    log_group: Given<LogGroup>,
}

/// What is to become of a setting that a trail can be without.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Given<T> {
    /// It stays as it is.
    Nothing,
    /// It goes.
    Removal,
    /// It is this from now on.
    Value(T),
}

impl<T> Given<T> {
    /// Reads what is given, if anything is; an empty text takes the setting away.
    fn read(
        text: Option<String>,
        value: impl FnOnce(String) -> Result<Option<T>, ApiError>,
    ) -> Result<Self, ApiError> {
        match text {
            None => Ok(Self::Nothing),
            Some(text) if text.is_empty() => Ok(Self::Removal),
            Some(text) => Ok(value(text)?.map_or(Self::Removal, Self::Value)),
        }
    }

    fn is_given(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    fn in_place_of(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Nothing => before,
            Self::Removal => None,
            Self::Value(value) => Some(value),
        }
    }
}

impl GivenSettings {
    /// Reads a request of CreateTrail or UpdateTrail: both have these members.
    pub(super) fn read(request: Request<'_>) -> Result<Self, ApiError> {
        let (account, region) = (request.caller.account, request.region);
        let input: UpdateTrailRequest = cairn_api::request::typed(request.input.clone())?;
        let bucket = input.s3_bucket_name.map(bucket_name).transpose()?;
        let key_prefix = Given::read(input.s3_key_prefix, |prefix| key_prefix(&prefix))?;
        let sns_topic = Given::read(input.sns_topic_name, |given| {
            topic(given, account, region).map(Some)
        })?;
        let key = Given::read(input.kms_key_id, |given| {
            key(&given, account, region).map(Some)
        })?;
        let group_arn = input.cloud_watch_logs_log_group_arn;
        let log_group = log_group(
            (group_arn, input.cloud_watch_logs_role_arn),
            account,
            region,
        )?;
        if input.recursive_logging == Some(false) {
            let message = "A trail whose own deliveries are left out is not supported by this version of Cairn: \
                           RecursiveLogging can only be true.";
            return Err(ApiError::new(
                ErrorCode::UnsupportedOperationException,
                message,
            ));
        }
        if input.is_organization_trail == Some(true) {
            let message = "The account is not a member of an organization.";
            return Err(ApiError::new(
                ErrorCode::OrganizationsNotInUseException,
                message,
            ));
        }
        Ok(Self {
            bucket,
            key_prefix,
            sns_topic,
            includes_global_service_events: input.include_global_service_events,
            is_multi_region: input.is_multi_region_trail,
            validates_log_files: input.enable_log_file_validation,
            key,
            log_group,
        })
    }

    /// The key that has to be looked up.
    pub(super) fn key(&self) -> Option<&KeyReference> {
        match &self.key {
            Given::Value(key) => Some(key),
            Given::Nothing | Given::Removal => None,
        }
    }

    /// What has to be asked whether CloudTrail may deliver there.
    pub(super) fn destinations(&self) -> SetDestinations {
        SetDestinations {
            bucket: self.bucket.is_some() || self.key_prefix.is_given() || self.key.is_given(),
            topic: self.sns_topic.is_given(),
            log_group: self.log_group.is_given(),
        }
    }

    /// The settings with what is given in the place of what was. `key_arn` is the ARN of the key that is given.
    pub(super) fn applied_to(
        &self,
        settings: TrailSettings,
        key_arn: Option<String>,
    ) -> Result<TrailSettings, ApiError> {
        let given = self.clone();
        let applied = TrailSettings {
            bucket: given.bucket.unwrap_or(settings.bucket),
            key_prefix: given.key_prefix.in_place_of(settings.key_prefix),
            sns_topic: given.sns_topic.in_place_of(settings.sns_topic),
            includes_global_service_events: given
                .includes_global_service_events
                .unwrap_or(settings.includes_global_service_events),
            is_multi_region: given.is_multi_region.unwrap_or(settings.is_multi_region),
            is_organization: settings.is_organization,
            validates_log_files: given
                .validates_log_files
                .unwrap_or(settings.validates_log_files),
            kms_key_arn: if given.key.is_given() {
                key_arn
            } else {
                settings.kms_key_arn
            },
            log_group: given.log_group.in_place_of(settings.log_group),
            event_selectors: settings.event_selectors,
            insight_selectors: settings.insight_selectors,
        };
        if applied.is_multi_region && !applied.includes_global_service_events {
            let message = "Multi-Region trail must include global service events.";
            return Err(ApiError::new(
                ErrorCode::InvalidParameterCombinationException,
                message,
            ));
        }
        Ok(applied)
    }
}

/// TRL-279, TRL-280
fn bucket_name(name: String) -> Result<String, ApiError> {
    let refused = |message: &str| {
        Err(ApiError::new(
            ErrorCode::InvalidS3BucketNameException,
            message,
        ))
    };
    if name.is_empty() {
        return refused("Bucket name cannot be blank!");
    }
    if !(3..=63).contains(&name.len()) {
        return refused("Bucket names must have between 3 and 63 characters.");
    }
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !name.chars().all(|c| is_inner(c) || matches!(c, '.' | '-')) {
        return refused(
            "Bucket names can only contain lowercase letters, numbers, periods (.) and hyphens (-).",
        );
    }
    // Labels that begin and end so leave no room for two periods, or a period and a hyphen, side by side.
    let is_label = |label: &str| label.starts_with(is_inner) && label.ends_with(is_inner);
    if !name.split('.').all(is_label) {
        return refused(
            "Each label of a bucket name must start and end with a lowercase letter or a number.",
        );
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return refused("Bucket names cannot be in the form of an IP address.");
    }
    Ok(name)
}

/// The prefix without the slashes at its end, which come with `AWSLogs/`.
fn key_prefix(prefix: &str) -> Result<Option<String>, ApiError> {
    let refused =
        |message: String| Err(ApiError::new(ErrorCode::InvalidS3PrefixException, message));
    if prefix.chars().count() > PREFIX_CHARACTERS_MAX {
        return refused(format!(
            "The S3 key prefix can have at most {PREFIX_CHARACTERS_MAX} characters."
        ));
    }
    if prefix.chars().any(char::is_control) {
        return refused("The S3 key prefix cannot contain control characters.".to_owned());
    }
    // REC-206: nobody writes by a trail of its own into the folders of others.
    if format!("{prefix}/").contains("AWSLogs/") {
        return refused("The S3 key prefix cannot contain AWSLogs/.".to_owned());
    }
    let kept = prefix.trim_end_matches('/');
    Ok(Some(kept.to_owned()).filter(|kept| !kept.is_empty()))
}

fn topic(given: String, account: AccountId, region: &Region) -> Result<SnsTopic, ApiError> {
    let arn = if given.starts_with("arn:") {
        let arn: Option<Arn> = given.parse().ok();
        arn.filter(is_topic).map(|arn| arn.as_str().to_owned())
    } else {
        is_topic_name(&given).then(|| format!("arn:aws:sns:{region}:{account}:{given}"))
    };
    match arn {
        Some(arn) => Ok(SnsTopic { given, arn }),
        None => Err(ApiError::new(
            ErrorCode::InvalidSnsTopicNameException,
            "The SNS topic must be given by its ARN or its name, which has 1 to 256 letters, numbers, underscores \
             (_) and hyphens (-).",
        )),
    }
}

fn is_topic(arn: &Arn) -> bool {
    arn.service() == "sns"
        && arn.region().parse::<Region>().is_ok()
        && arn.account().parse::<AccountId>().is_ok()
        && is_topic_name(arn.resource())
}

/// TRL-149
fn is_topic_name(name: &str) -> bool {
    (1..=256).contains(&name.len())
        && name
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'))
}

/// SEC-357
fn key(given: &str, account: AccountId, region: &Region) -> Result<KeyReference, ApiError> {
    KeyReference::read(given, account, region).ok_or_else(|| {
        let message = "The KMS key must be given by its ID, its ARN, an alias that begins with alias/ (not \
                       alias/aws), or the ARN of an alias.";
        ApiError::new(ErrorCode::InvalidKmsKeyIdException, message)
    })
}

/// Log group and role come together and go together (REC-176).
fn log_group(
    given: (Option<String>, Option<String>),
    account: AccountId,
    region: &Region,
) -> Result<Given<LogGroup>, ApiError> {
    let group_refused = |message| {
        ApiError::new(
            ErrorCode::InvalidCloudWatchLogsLogGroupArnException,
            message,
        )
    };
    let role_refused =
        |message| ApiError::new(ErrorCode::InvalidCloudWatchLogsRoleArnException, message);
    let without_role = || role_refused("You must specify a role ARN as well as a log group.");
    let without_group = || group_refused("You must specify a log group as well as a role ARN.");
    let (arn, role_arn) = match given {
        (None, None) => return Ok(Given::Nothing),
        (Some(arn), Some(role_arn)) => (arn, role_arn),
        (Some(_), None) => return Err(without_role()),
        (None, Some(_)) => return Err(without_group()),
    };
    match (arn.is_empty(), role_arn.is_empty()) {
        (true, true) => return Ok(Given::Removal),
        (true, false) => return Err(without_group()),
        (false, true) => return Err(without_role()),
        (false, false) => {}
    }
    if !is_log_group(&arn, account, region) {
        return Err(group_refused(
            "CloudTrail cannot validate the specified log group ARN.",
        ));
    }
    if !is_role(&role_arn, account) {
        return Err(role_refused(
            "CloudTrail cannot validate the specified role ARN.",
        ));
    }
    Ok(Given::Value(LogGroup { arn, role_arn }))
}

/// A group of the caller's account in the Region of the trail, with or without the `:*` of its streams (REC-171,
/// REC-172, REC-178).
fn is_log_group(text: &str, account: AccountId, region: &Region) -> bool {
    let Ok(arn) = text.parse::<Arn>() else {
        return false;
    };
    let name = arn.resource().strip_prefix("log-group:");
    let name = name.map(|name| name.strip_suffix(":*").unwrap_or(name));
    let is_name = |name: &str| {
        (1..=512).contains(&name.len())
            && name
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'/' | b'.' | b'#'))
    };
    arn.service() == "logs"
        && arn.account() == account.as_str()
        && arn.region() == region.as_str()
        && name.is_some_and(is_name)
}

fn is_role(text: &str, account: AccountId) -> bool {
    let Ok(arn) = text.parse::<Arn>() else {
        return false;
    };
    let name = arn.resource().strip_prefix("role/");
    arn.service() == "iam"
        && arn.account() == account.as_str()
        && name.is_some_and(|name| !name.is_empty())
}
