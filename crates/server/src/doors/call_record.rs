//! The records of calls to our own API, member by member and in the order that CloudTrail writes them
//! (SEC-011).

use bytes::Bytes;
use cairn_model::AccountId;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

use super::oversize;
use super::user_identity::RecordedCaller;
use crate::http::TlsFacts;

/// REC-004: the version that is written now.
const EVENT_VERSION: &str = "1.11";

/// Source of the events by which Cairn tells of itself.
pub(crate) const OWN_SOURCE: &str = "cloudtrail.amazonaws.com";

/// REC-016, REC-018, REC-020: the longest user agent, error code and error message.
const TEXT_BYTES_MAX: usize = 1024;

/// A call as it is recorded.
#[derive(Clone, Debug)]
pub(crate) struct CallRecord<'a> {
    pub(crate) caller: RecordedCaller<'a>,
    /// When the request was completed (REC-008).
    pub(crate) completed_ms: i64,
    pub(crate) event_source: &'a str,
    pub(crate) event_name: &'a str,
    pub(crate) region: &'a str,
    pub(crate) source_ip: &'a str,
    pub(crate) user_agent: Option<&'a str>,
    /// Name and message of the error that the caller got (SEC-027).
    pub(crate) error: Option<(&'a str, &'a str)>,
    /// Null when there are none (REC-023).
    pub(crate) request_parameters: Value,
    /// Null for reads, refusals and answers without members (REC-024, SEC-025).
    pub(crate) response_elements: Value,
    /// Left out if null (REC-026).
    pub(crate) additional_event_data: Value,
    pub(crate) request_id: &'a str,
    pub(crate) read_only: bool,
    pub(crate) resources: &'a [RecordedResource],
    /// `Management` or `Data`.
    pub(crate) category: &'static str,
    pub(crate) tls: Option<TlsFacts>,
    /// The host that the client asked for.
    pub(crate) client_host: Option<&'a str>,
    /// True if the caller's own copy must not say whose the resources are (REC-212).
    pub(crate) hides_owner: bool,
}

/// An entry of `resources` (REC-034).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordedResource {
    /// The owner, where CloudTrail names it: S3 does so for buckets, not for objects.
    pub(crate) account: Option<AccountId>,
    pub(crate) resource_type: String,
    pub(crate) arn: RecordedArn,
}

/// What was accessed: one resource, or all whose ARN begins alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecordedArn {
    Exact(String),
    Prefix(String),
}

/// What tells the copies of one record apart (REC-062).
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordIds<'a> {
    pub(crate) event_id: &'a str,
    /// The account that gets this copy.
    pub(crate) recipient: AccountId,
    /// Set if there is more than one copy (REC-063).
    pub(crate) shared_event_id: Option<&'a str>,
}

impl CallRecord<'_> {
    /// The record as JSON. A copy for another account than the caller's shows the caller as that
    /// account's outsider (REC-065).
    pub(crate) fn to_json(&self, ids: RecordIds<'_>) -> Bytes {
        let is_own = self
            .caller
            .principal
            .account()
            .is_none_or(|account| account == ids.recipient);
        let identity = if is_own {
            self.caller.user_identity()
        } else {
            self.caller.foreign_identity()
        };
        let mut record = Map::new();
        let mut put = |name: &str, value: Value| {
            record.insert(name.to_owned(), value);
        };
        put("eventVersion", EVENT_VERSION.into());
        put("userIdentity", identity);
        put("eventTime", event_time(self.completed_ms).into());
        put("eventSource", self.event_source.into());
        put("eventName", self.event_name.into());
        put("awsRegion", self.region.into());
        put("sourceIPAddress", self.source_ip.into());
        if let Some(agent) = self.user_agent {
            put("userAgent", self.agent_as_recorded(agent).into());
        }
        if let Some((code, message)) = self.error {
            put("errorCode", cut(code, TEXT_BYTES_MAX).into());
            put("errorMessage", cut(message, TEXT_BYTES_MAX).into());
        }
        put("requestParameters", self.request_parameters.clone());
        put("responseElements", self.response_elements.clone());
        if !self.additional_event_data.is_null() {
            put("additionalEventData", self.additional_event_data.clone());
        }
        put("requestID", self.request_id.into());
        put("eventID", ids.event_id.into());
        put("readOnly", self.read_only.into());
        if !self.resources.is_empty() {
            let hides_owner = self.hides_owner && is_own;
            let resources = self.resources.iter();
            let resources = resources
                .map(|resource| resource.to_json(hides_owner))
                .collect();
            put("resources", Value::Array(resources));
        }
        put("eventType", "AwsApiCall".into());
        put("managementEvent", (self.category == "Management").into());
        put("recipientAccountId", ids.recipient.as_str().into());
        if let Some(shared) = ids.shared_event_id {
            put("sharedEventID", shared.into());
        }
        put("eventCategory", self.category.into());
        if let Some(tls) = self.tls {
            put("tlsDetails", self.tls_details(tls));
        }
        oversize::fit(record)
    }

    // The records of S3 have the agent in brackets, those of other services as it came (SEC-016). The name of
    // a service that calls stands as it is.
    fn agent_as_recorded(&self, agent: &str) -> String {
        match self.event_source {
            "s3.amazonaws.com" if self.caller.principal.account().is_some() => {
                format!("[{}]", cut(agent, TEXT_BYTES_MAX - 2))
            }
            _ => cut(agent, TEXT_BYTES_MAX).to_owned(),
        }
    }

    // REC-051, REC-052: what is not known is left out.
    fn tls_details(&self, tls: TlsFacts) -> Value {
        let mut details = Map::new();
        for (name, value) in [
            ("tlsVersion", tls.version),
            ("cipherSuite", tls.cipher_suite),
            (
                "clientProvidedHostHeader",
                self.client_host.unwrap_or_default(),
            ),
        ] {
            if !value.is_empty() {
                details.insert(name.into(), value.into());
            }
        }
        Value::Object(details)
    }
}

impl RecordedResource {
    /// One resource of a known owner.
    pub(crate) fn new(account: AccountId, resource_type: &str, arn: String) -> Self {
        Self {
            account: Some(account),
            resource_type: resource_type.to_owned(),
            arn: RecordedArn::Exact(arn),
        }
    }

    // REC-213: where the owner is hidden, an empty text stands in its place.
    fn to_json(&self, hides_owner: bool) -> Value {
        let mut entry = Map::new();
        if let Some(account) = &self.account {
            let account = if hides_owner { "" } else { account.as_str() };
            entry.insert("accountId".into(), account.into());
        }
        entry.insert("type".into(), self.resource_type.clone().into());
        let (name, arn) = match &self.arn {
            RecordedArn::Exact(arn) => ("ARN", arn),
            RecordedArn::Prefix(arn) => ("ARNPrefix", arn),
        };
        entry.insert(name.into(), arn.clone().into());
        Value::Object(entry)
    }
}

/// An event that Cairn itself causes (REC-124 to REC-126).
#[derive(Clone, Debug)]
pub(crate) struct ServiceEvent<'a> {
    pub(crate) account: AccountId,
    pub(crate) region: &'a str,
    pub(crate) completed_ms: i64,
    pub(crate) event_source: &'a str,
    pub(crate) event_name: &'a str,
    pub(crate) details: Value,
}

impl ServiceEvent<'_> {
    /// The record as JSON.
    pub(crate) fn to_json(&self, event_id: &str) -> Bytes {
        self.to_json_about(event_id, &[])
    }

    /// The same, with the resources that it is about.
    pub(crate) fn to_json_about(&self, event_id: &str, resources: &[RecordedResource]) -> Bytes {
        let mut record = json!({
            "eventVersion": EVENT_VERSION,
            "userIdentity": {"accountId": self.account.as_str(), "invokedBy": "AWS Internal"},
            "eventTime": event_time(self.completed_ms),
            "eventSource": self.event_source,
            "eventName": self.event_name,
            "awsRegion": self.region,
            // REC-015, REC-017, REC-126: nobody called from anywhere, and the agent is the component that acted.
            "sourceIPAddress": "AWS Internal",
            "userAgent": self.event_source,
            "requestParameters": null,
            "responseElements": null,
            "eventID": event_id,
            "readOnly": false,
            "eventType": "AwsServiceEvent",
            "managementEvent": true,
            "recipientAccountId": self.account.as_str(),
            "serviceEventDetails": self.details,
            "eventCategory": "Management",
        });
        if !resources.is_empty() {
            let resources = resources.iter();
            record["resources"] = resources.map(|resource| resource.to_json(false)).collect();
        }
        Bytes::from(record.to_string())
    }
}

/// `YYYY-MM-DDThh:mm:ssZ` (SEC-015).
fn event_time(millis: i64) -> String {
    let time = DateTime::from_timestamp_millis(millis).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The longest beginning of a text within the limit that does not split a character.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests;
