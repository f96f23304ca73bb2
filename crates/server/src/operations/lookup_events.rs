//! LookupEvents: the caller's account's history in the Region of the call (OVR-073 to OVR-094).

use std::sync::Arc;

use cairn_api::cloudtrail::enums::{EventCategory, LookupAttributeKey};
use cairn_api::cloudtrail::inputs::LookupEventsRequest;
use cairn_api::cloudtrail::outputs::LookupEventsResponse;
use cairn_api::cloudtrail::structures::{Event, Resource};
use cairn_api::{ApiError, ErrorCode, Timestamp};
use cairn_lake::{LakeError, LookupCursor, LookupEvent, LookupKey, LookupQuery, LookupSource};
use cairn_model::{AccountId, Region};
use cairn_platform::{Clock, Entropy, MasterKey};

use super::Request;
use super::page_token::{Fingerprint, PageTokens};
use crate::config::{AdmissionConfig, LookupConfig};
use crate::doors::admission::RateLimit;
use crate::lake_keeper::LakeKeeper;

/// OVR-084. Without a number a page is as large as it may be: so says the service's model, though the manual's
/// section on Insights says 10.
const RESULTS_MAX: usize = 50;

/// The operation.
#[derive(Debug)]
pub(crate) struct LookupEvents {
    lake: Arc<LakeKeeper>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    tokens: PageTokens,
    rate: RateLimit<(AccountId, Region)>,
}

impl LookupEvents {
    pub(crate) fn new(
        lake: Arc<LakeKeeper>,
        config: LookupConfig,
        key: MasterKey,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let lifetime_ms = i64::try_from(config.token_lifetime.as_millis()).unwrap_or(i64::MAX);
        let rate = AdmissionConfig {
            requests_per_second: config.requests_per_second,
            requests_burst: config.requests_per_second,
        };
        Self {
            lake,
            tokens: PageTokens {
                key,
                context: "LookupEvents.NextToken",
                lifetime_ms,
            },
            rate: RateLimit::new(rate, Arc::clone(&clock)),
            clock,
            entropy,
        }
    }

    pub(super) async fn run(&self, request: Request<'_>) -> Result<LookupEventsResponse, ApiError> {
        let (account, region) = (request.caller.account, request.region);
        // OVR-092: counted for the account and Region, whoever in the account asks.
        if !self.rate.admit((account, region.clone())) {
            return Err(ApiError::new(
                ErrorCode::ThrottlingException,
                "Rate exceeded",
            ));
        }
        let input: LookupEventsRequest = cairn_api::request::typed(request.input.clone())?;
        let fingerprint = fingerprint(account, region, &input);
        let mut query = query(account, region, &input);
        if let Some(token) = &input.next_token {
            let cursor: Option<LookupCursor> =
                self.tokens.open(token, &fingerprint, self.clock.now_ms());
            query.after = Some(cursor.ok_or_else(invalid_token)?);
        }
        let lake = self.lake.lake().ok_or_else(cannot_be_read)?;
        let page = lake.lookup(query).await.map_err(|error| failed(&error))?;
        let next_token = page.next.map(|cursor| {
            self.tokens
                .seal(&cursor, &fingerprint, self.clock.now_ms(), &*self.entropy)
        });
        let events = page.events.into_iter().map(shown).collect();
        Ok(LookupEventsResponse {
            events: Some(events),
            next_token,
        })
    }
}

fn query(account: AccountId, region: &Region, input: &LookupEventsRequest) -> LookupQuery {
    let source = match &input.event_category {
        Some(EventCategory::Insight) => LookupSource::Insight,
        None => LookupSource::Management,
    };
    // Validation has held the request to one attribute (OVR-075), one that its category knows (OVR-250),
    // and to a start that is not after the end (OVR-081).
    let attribute = input
        .lookup_attributes
        .as_deref()
        .unwrap_or_default()
        .first();
    let attribute = attribute.map(|one| (key(one.attribute_key), one.attribute_value.clone()));
    let max_results = input.max_results.and_then(|max| usize::try_from(max).ok());
    LookupQuery {
        account,
        region: region.clone(),
        source,
        attribute,
        start: input.start_time.map(Timestamp::to_event_time),
        end: input.end_time.map(Timestamp::to_event_time),
        max_results: max_results.unwrap_or(RESULTS_MAX).clamp(1, RESULTS_MAX),
        after: None,
    }
}

fn key(key: LookupAttributeKey) -> LookupKey {
    match key {
        LookupAttributeKey::AccessKeyId => LookupKey::AccessKeyId,
        LookupAttributeKey::EventId => LookupKey::EventId,
        LookupAttributeKey::EventName => LookupKey::EventName,
        LookupAttributeKey::EventSource => LookupKey::EventSource,
        LookupAttributeKey::ReadOnly => LookupKey::ReadOnly,
        LookupAttributeKey::ResourceName => LookupKey::ResourceName,
        LookupAttributeKey::ResourceType => LookupKey::ResourceType,
        LookupAttributeKey::Username => LookupKey::Username,
    }
}

/// Everything but the page size and the token itself.
fn fingerprint(account: AccountId, region: &Region, input: &LookupEventsRequest) -> Fingerprint {
    let time = |time: Option<Timestamp>| {
        time.map_or(String::from("-"), |time| time.as_micros().to_string())
    };
    let mut parts = vec![
        account.to_string(),
        region.to_string(),
        format!("{:?}", input.event_category),
        time(input.start_time),
        time(input.end_time),
    ];
    for attribute in input.lookup_attributes.as_deref().unwrap_or_default() {
        parts.push(format!("{:?}", attribute.attribute_key));
        parts.push(attribute.attribute_value.clone());
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    Fingerprint::of(&parts)
}

/// OVR-086 to OVR-089: the envelope, with the record itself byte for byte.
fn shown(event: LookupEvent) -> Event {
    let resources = event
        .resources
        .into_iter()
        .map(|(resource_type, name)| Resource {
            resource_type,
            resource_name: Some(name),
        });
    Event {
        event_id: Some(event.event_id),
        event_name: Some(event.event_name),
        read_only: event.read_only.map(|flag| flag.to_string()),
        access_key_id: event.access_key_id,
        event_time: Some(Timestamp::from(event.event_time)),
        event_source: Some(event.event_source),
        username: event.user_name,
        resources: Some(resources.collect()),
        // Records are UTF-8: the door refuses everything else.
        cloud_trail_event: Some(String::from_utf8_lossy(&event.json).into_owned()),
    }
}

fn invalid_token() -> ApiError {
    let message = "The next token is invalid, has expired, or belongs to another request.";
    ApiError::new(ErrorCode::InvalidNextTokenException, message)
}

fn failed(error: &LakeError) -> ApiError {
    if matches!(error, LakeError::Busy) {
        return ApiError::new(ErrorCode::ThrottlingException, "Rate exceeded");
    }
    tracing::error!(error = %error, "a lookup failed");
    if error.is_retryable() {
        return cannot_be_read();
    }
    ApiError::internal_failure()
}

fn cannot_be_read() -> ApiError {
    let message = "The event history cannot be read now. Try again later.";
    ApiError::new(ErrorCode::ServiceUnavailable, message)
}
