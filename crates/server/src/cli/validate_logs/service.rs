//! The three calls that validation makes: DescribeTrails, ListPublicKeys, and DescribeOrganization for
//! organization trails.

use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use cairn_integrity::PublicKeys;
use cairn_model::EventTime;
use cairn_platform::Clock;
use serde_json::{Map, Value, json};

use super::exported_keys::ExportedKeys;
use crate::client::{CalledService, ClientProfile, ProfileArguments, SignedHttp};

const TARGET: &str = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101";
const ORGANIZATIONS_TARGET: &str = "AWSOrganizationsV20161128.DescribeOrganization";
/// Pages of keys that are followed: far more than there are keys.
const KEY_PAGES_MAX: usize = 1_000;

/// CloudTrail's API.
#[derive(Debug)]
pub(super) struct CloudTrail {
    http: SignedHttp,
    region: String,
    clock: Arc<dyn Clock>,
}

/// What DescribeTrails says of a trail's files.
#[derive(Debug)]
pub(super) struct DescribedTrail {
    pub(super) bucket: String,
    pub(super) prefix: Option<String>,
    pub(super) is_organization: bool,
}

impl CloudTrail {
    pub(super) fn new(
        arguments: &ProfileArguments,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let profile = ClientProfile::resolve(arguments, CalledService::CloudTrail)?;
        Ok(Self {
            region: profile.region.clone(),
            http: SignedHttp::new(profile, Arc::clone(clock))?,
            clock: Arc::clone(clock),
        })
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    pub(super) async fn trail(&self, arn: &str) -> anyhow::Result<DescribedTrail> {
        let target = format!("{TARGET}.DescribeTrails");
        let answer = call(&self.http, "cloudtrail", &target, &json!({})).await?;
        let trails = answer["trailList"].as_array();
        let trail = trails
            .and_then(|trails| trails.iter().find(|trail| trail["TrailARN"] == arn))
            .with_context(|| format!("A trail could not be found for {arn}"))?;
        let bucket = trail["S3BucketName"].as_str();
        Ok(DescribedTrail {
            bucket: bucket.context("DescribeTrails names no bucket")?.to_owned(),
            prefix: trail["S3KeyPrefix"].as_str().map(str::to_owned),
            is_organization: trail["IsOrganizationTrail"] == true,
        })
    }

    pub(super) async fn public_keys(
        &self,
        from: EventTime,
        to: EventTime,
    ) -> anyhow::Result<PublicKeys> {
        Ok(self.key_list(from, to).await?.keys())
    }

    /// The keys of everything signed from `start` until now: backfill digests are signed late.
    pub(super) async fn keys_for_export(
        &self,
        start: EventTime,
        now: EventTime,
    ) -> anyhow::Result<ExportedKeys> {
        self.key_list(start, now).await
    }

    async fn key_list(&self, from: EventTime, to: EventTime) -> anyhow::Result<ExportedKeys> {
        let target = format!("{TARGET}.ListPublicKeys");
        let mut request = Map::new();
        request.insert("StartTime".to_owned(), from.as_seconds().into());
        request.insert("EndTime".to_owned(), to.as_seconds().into());
        let mut list = Vec::new();
        for _ in 0..KEY_PAGES_MAX {
            let body = Value::Object(request.clone());
            let mut answer = call(&self.http, "cloudtrail", &target, &body).await?;
            if let Value::Array(page) = answer["PublicKeyList"].take() {
                list.extend(page);
            }
            match answer["NextToken"].take() {
                Value::String(token) if !token.is_empty() => {
                    request.insert("NextToken".to_owned(), token.into());
                }
                _ => return Ok(ExportedKeys::new(list)),
            }
        }
        anyhow::bail!("ListPublicKeys has more than {KEY_PAGES_MAX} pages")
    }

    pub(super) async fn organization_id(
        &self,
        arguments: &ProfileArguments,
    ) -> anyhow::Result<String> {
        let profile = ClientProfile::resolve(arguments, CalledService::Organizations)?;
        let http = SignedHttp::new(profile, Arc::clone(&self.clock))?;
        let answer = call(&http, "organizations", ORGANIZATIONS_TARGET, &json!({})).await?;
        let id = answer["Organization"]["Id"].as_str();
        Ok(id
            .context("DescribeOrganization names no organization")?
            .to_owned())
    }
}

async fn call(
    http: &SignedHttp,
    service: &str,
    target: &str,
    body: &Value,
) -> anyhow::Result<Value> {
    let operation = target.rsplit('.').next().unwrap_or(target);
    let answer = http
        .call(service, target, Bytes::from(body.to_string()))
        .await?;
    let text = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    if answer.status == 200 {
        anyhow::ensure!(text.is_object(), "the answer to {operation} is not JSON");
        return Ok(text);
    }
    let member = |name: &str| text[name].as_str();
    let code = member("__type").map_or("UnknownError", |code| {
        code.rsplit('#').next().unwrap_or(code)
    });
    let message = member("message")
        .or_else(|| member("Message"))
        .unwrap_or_default();
    anyhow::bail!("An error occurred ({code}) when calling the {operation} operation: {message}")
}
