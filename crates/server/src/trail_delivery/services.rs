//! Topics, log groups and buses as this node reaches them. The endpoint's credentials sign, and they may be able to
//! tell every topic of an account; whether a trail may is for the topic's policy to say, at each message as AWS does,
//! with an answer that is at most a minute old.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cairn_access::Principal;
use cairn_access::policy::{
    ContextKeys, Decision, PolicyDocument, PolicyKind, PolicySets, RequestContext, RequestFacts,
    evaluate,
};
use cairn_catalog::Catalog;
use cairn_model::Arn;
use cairn_platform::{
    Clock, CloudWatchLogsClient, EventBridgeClient, LogEvent, LogStream, LogStreams, S3Credentials,
    S3Timeouts, ServiceAddress, ServiceConfig, ServiceFailure, SnsClient, TopicMessage,
    TopicPublisher,
};
use cairn_trails::{BusParts, OutletParts};
use zeroize::Zeroizing;

use crate::client::credentials_of_section;
use crate::config::{EndpointsConfig, ServiceAddressSettings};
use crate::error::StartError;
use crate::sabotage;

/// Who delivers.
pub(super) const SERVICE: &str = "cloudtrail.amazonaws.com";
/// How long what a topic's policy says is believed.
const POLICY_AGE_MAX: Duration = Duration::from_mins(1);
/// Answers of policies that are remembered.
const POLICIES_MAX: usize = 10_000;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Clients of the services that are configured.
#[derive(Debug)]
pub(crate) struct Services {
    pub(super) sns: Option<SnsClient>,
    pub(super) logs: Option<CloudWatchLogsClient>,
    eventbridge: Option<Arc<EventBridgeClient>>,
    source_prefix: String,
    clock: Arc<dyn Clock>,
    /// Whether a topic lets a trail publish, and when it said so.
    // Held for one look-up, never across an await.
    allowed: Mutex<HashMap<(String, String), (Duration, bool)>>,
}

impl Services {
    /// Clients for all services that have an address.
    pub(crate) fn new(
        endpoints: &EndpointsConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let sns = service_config(endpoints, "sns", &endpoints.sns)?;
        let logs = service_config(endpoints, "logs", &endpoints.logs)?;
        let eventbridge = service_config(endpoints, "eventbridge", &endpoints.eventbridge)?;
        let opened = |error: ServiceFailure| StartError::Open {
            part: "the endpoints",
            reason: error.to_string(),
        };
        let sns = sns.as_ref().map(SnsClient::new);
        let logs = logs.as_ref().map(CloudWatchLogsClient::new);
        let eventbridge = eventbridge.as_ref().map(EventBridgeClient::new);
        Ok(Self {
            sns: sns.transpose().map_err(opened)?,
            logs: logs.transpose().map_err(opened)?,
            eventbridge: eventbridge.transpose().map_err(opened)?.map(Arc::new),
            source_prefix: endpoints.eventbridge_source_prefix.clone(),
            clock,
            allowed: Mutex::default(),
        })
    }

    /// What delivery tells topics, log groups and buses by.
    pub(crate) fn outlets(self: &Arc<Self>, catalog: &Arc<Catalog>) -> OutletParts {
        let buses = self.eventbridge.clone().map(|buses| BusParts {
            buses,
            source_prefix: self.source_prefix.clone(),
        });
        OutletParts {
            catalog: sabotage::outlets_catalog(Arc::clone(catalog) as _),
            topics: Arc::clone(self) as _,
            log_streams: Arc::clone(self) as _,
            buses,
        }
    }

    /// Whether the topic's policy lets CloudTrail publish for the trail now (SEC-238 to SEC-244).
    pub(super) async fn ask_topic(
        &self,
        topic_arn: &str,
        trail_arn: &str,
    ) -> Result<bool, ServiceFailure> {
        let sns = self.sns.as_ref().ok_or_else(|| not_configured("sns"))?;
        let policy = sns.policy(topic_arn).await?;
        let policy = policy.and_then(|text| {
            let read = PolicyDocument::parse(&text, PolicyKind::Resource);
            if let Err(error) = &read {
                tracing::warn!(topic = topic_arn, %error, "a topic's policy cannot be read");
            }
            read.ok()
        });
        Ok(policy.is_some_and(|policy| {
            let question = ("sns:Publish", topic_arn);
            service_may(&policy, trail_arn, question, self.clock.now_ms())
        }))
    }

    async fn may_publish(&self, message: &TopicMessage) -> Result<bool, ServiceFailure> {
        let key = (message.topic_arn.clone(), message.trail_arn.clone());
        let now = self.clock.monotonic();
        let known = {
            let allowed = self.allowed.lock().expect("no holder of this lock panics");
            allowed.get(&key).copied()
        };
        match known {
            Some((at, is_allowed)) if now.saturating_sub(at) < POLICY_AGE_MAX && is_allowed => {
                return Ok(true);
            }
            _ => {}
        }
        let is_allowed = self
            .ask_topic(&message.topic_arn, &message.trail_arn)
            .await?;
        let mut allowed = self.allowed.lock().expect("no holder of this lock panics");
        if allowed.len() >= POLICIES_MAX {
            allowed.clear();
        }
        allowed.insert(key, (now, is_allowed));
        Ok(is_allowed)
    }
}

#[async_trait]
impl TopicPublisher for Services {
    async fn publish(&self, message: &TopicMessage) -> Result<(), ServiceFailure> {
        let sns = self.sns.as_ref().ok_or_else(|| not_configured("sns"))?;
        if !self.may_publish(message).await? {
            // SEC-252, in SNS's own words.
            let told = "the topic's policy does not let CloudTrail publish";
            return Err(ServiceFailure::new("AuthorizationError", told));
        }
        sns.publish(message).await
    }
}

#[async_trait]
impl LogStreams for Services {
    async fn put_events(
        &self,
        stream: &LogStream,
        events: &[LogEvent],
    ) -> Result<u64, ServiceFailure> {
        let logs = self.logs.as_ref().ok_or_else(|| not_configured("logs"))?;
        logs.put_events(stream, events).await
    }

    async fn create_stream(&self, stream: &LogStream) -> Result<(), ServiceFailure> {
        let logs = self.logs.as_ref().ok_or_else(|| not_configured("logs"))?;
        logs.create_stream(stream).await
    }
}

fn not_configured(service: &str) -> ServiceFailure {
    let message = format!("endpoints.{service} is not set");
    ServiceFailure::new(ServiceFailure::NOT_CONFIGURED, message)
}

/// Whether a policy lets CloudTrail do something for a trail.
pub(super) fn service_may(
    policy: &PolicyDocument,
    trail_arn: &str,
    (action, resource): (&str, &str),
    now_ms: i64,
) -> bool {
    let Ok(trail) = trail_arn.parse::<Arn>() else {
        return false;
    };
    let principal = Principal::Service {
        name: SERVICE.to_owned(),
    };
    let keys = keys_of(&principal, &trail, now_ms);
    let request = RequestContext {
        action,
        resource,
        principal: &principal,
        keys: &keys,
    };
    let sets = PolicySets {
        identity: &[],
        boundary: None,
        session: None,
        resource: Some(policy),
        same_account: true,
    };
    evaluate(&request, &sets) == Decision::Allow
}

/// The condition keys of what is done for a trail.
pub(super) fn keys_of(principal: &Principal, trail: &Arn, now_ms: i64) -> ContextKeys {
    let mut keys = ContextKeys::of_call(
        principal,
        &RequestFacts {
            now_ms,
            source_ip: None,
            secure_transport: true,
            user_agent: None,
            referer: None,
            requested_region: trail.region(),
        },
    );
    keys.set("aws:SourceArn", trail.as_str());
    keys.set("aws:SourceAccount", trail.account());
    keys
}

/// A service's addresses with its credentials; none if it is not configured.
pub(crate) fn service_config(
    endpoints: &EndpointsConfig,
    name: &'static str,
    addresses: &[ServiceAddressSettings],
) -> Result<Option<ServiceConfig>, StartError> {
    if addresses.is_empty() {
        return Ok(None);
    }
    let file = endpoints.credentials_file.as_deref();
    let found = credentials_of_section(file.unwrap_or(Path::new("")), name);
    let (access_key_id, secret, session_token) = found.map_err(|error| StartError::Open {
        part: "the credentials of the endpoints",
        reason: format!("[{name}]: {error}"),
    })?;
    let addresses = addresses.iter().map(|address| ServiceAddress {
        region: address.region.as_ref().map(ToString::to_string),
        url: address.url.clone(),
    });
    Ok(Some(ServiceConfig {
        name: name.to_owned(),
        addresses: addresses.collect(),
        credentials: S3Credentials {
            access_key_id,
            secret: Zeroizing::new(secret.expose().to_owned()),
            session_token,
        },
        ca_file: endpoints.ca_file.clone(),
        timeouts: S3Timeouts {
            connect: CONNECT_TIMEOUT,
            read: OPERATION_TIMEOUT,
            operation: OPERATION_TIMEOUT,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:444455556666:told";
    const TRAIL: &str = "arn:aws:cloudtrail:us-east-1:111122223333:trail/all";

    fn may(principal: &str, condition: &str) -> bool {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"AWSCloudTrailSNSPolicy20131101","Effect":"Allow","Principal":{principal},"Action":"SNS:Publish","Resource":"{TOPIC}"{condition}}}]}}"#
        );
        let policy = PolicyDocument::parse(&text, PolicyKind::Resource).expect("a policy");
        service_may(&policy, TRAIL, ("sns:Publish", TOPIC), 0)
    }

    // Proves: SEC-238, SEC-239, SEC-240, SEC-243, SEC-244
    #[test]
    fn the_policy_of_a_topic_decides_by_service_trail_and_account() {
        let service = r#"{"Service":"cloudtrail.amazonaws.com"}"#;
        let if_equal = |key: &str, value: &str| {
            format!(r#","Condition":{{"StringEquals":{{"{key}":"{value}"}}}}"#)
        };
        assert!(may(service, ""));
        assert!(may(service, &if_equal("aws:SourceArn", TRAIL)));
        assert!(may(service, &if_equal("aws:SourceAccount", "111122223333")));
        assert!(!may(
            service,
            &if_equal("aws:SourceArn", &TRAIL.replace("all", "other"))
        ));
        assert!(!may(
            service,
            &if_equal("aws:SourceAccount", "444455556666")
        ));
        assert!(!may(r#"{"Service":"events.amazonaws.com"}"#, ""));
        // What SNS gives a topic by itself.
        assert!(!may(
            r#"{"AWS":"*"}"#,
            &if_equal("AWS:SourceOwner", "444455556666")
        ));
    }
}
