//! Whether topic and log group of a trail are there and let it in (TRL-150, REC-171, REC-175).

use cairn_access::policy::{PolicyDocument, PolicyKind};
use cairn_access::{Principal, RoleSession};
use cairn_catalog::CatalogError;
use cairn_catalog::identity::{IdentityKind, IdentitySnapshot};
use cairn_model::{Arn, LogGroup, SnsTopic, Trail};
use cairn_platform::{CloudWatchLogsClient, ServiceFailure};

use super::TrailDestinations;
use super::services::{keys_of, service_may};
use crate::authorize::role_may;
use crate::trail_destinations::DestinationProblem;

impl TrailDestinations {
    /// Asks for the topic's policy; nothing is published.
    pub(super) async fn ask_topic(
        &self,
        trail: &Trail,
        topic: &SnsTopic,
    ) -> Result<(), DestinationProblem> {
        match self.services.ask_topic(&topic.arn, &trail.arn()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(DestinationProblem::Topic),
            Err(failure) => {
                tracing::info!(topic = topic.arn, %failure, "a topic could not be asked");
                Err(topic_problem(&failure))
            }
        }
    }

    /// Asks the role's policies, which lie here, then for the group.
    pub(super) async fn ask_log_group(
        &self,
        trail: &Trail,
        group: &LogGroup,
    ) -> Result<(), DestinationProblem> {
        let Some(logs) = &self.services.logs else {
            return Err(DestinationProblem::LogsUnavailable);
        };
        let arn = group.arn.strip_suffix(":*").unwrap_or(&group.arn);
        self.ask_role(trail, &group.role_arn, arn).await?;
        has_group(logs, arn).await
    }

    /// The role must be there, trust CloudTrail, and be allowed to make and fill the stream (REC-184).
    async fn ask_role(
        &self,
        trail: &Trail,
        role_arn: &str,
        group_arn: &str,
    ) -> Result<(), DestinationProblem> {
        let found = self.find_role(trail, role_arn).await;
        let found = found.map_err(|error| {
            tracing::error!(%error, "a role could not be looked up");
            DestinationProblem::NoAnswer
        })?;
        let Some((role, trust)) = found else {
            return Err(DestinationProblem::RoleDenied);
        };
        let now_ms = self.clock.now_ms();
        let trust = PolicyDocument::parse(&trust, PolicyKind::Trust).ok();
        let assume = ("sts:AssumeRole", role_arn);
        if !trust.is_some_and(|trust| service_may(&trust, &trail.arn(), assume, now_ms)) {
            return Err(DestinationProblem::RoleDenied);
        }
        let Ok(trail_arn) = trail.arn().parse::<Arn>() else {
            return Err(DestinationProblem::RoleDenied);
        };
        let principal = Principal::RoleSession(RoleSession {
            account: trail.account,
            role_name: role.identity.name.clone(),
            role_path: role.identity.path.clone(),
            role_id: role.identity.id.clone(),
            session_name: "CLOUDTRAIL".to_owned(),
            source_identity: None,
            issued_ms: now_ms,
            mfa: false,
        });
        let keys = keys_of(&principal, &trail_arn, now_ms);
        let (account, region) = (&trail.account, &trail.home_region);
        let stream = format!("{group_arn}:log-stream:{account}_CloudTrail_{region}");
        for action in ["logs:CreateLogStream", "logs:PutLogEvents"] {
            if !role_may(&role, &principal, &keys, (action, &stream)) {
                return Err(DestinationProblem::LogGroupDenied);
            }
        }
        Ok(())
    }

    async fn find_role(
        &self,
        trail: &Trail,
        role_arn: &str,
    ) -> Result<Option<(IdentitySnapshot, String)>, CatalogError> {
        let mut transaction = self.catalog.read().await?;
        let mut view = transaction.identities(trail.account);
        let name = role_arn.rsplit('/').next().unwrap_or_default();
        let role = view.find_identity(IdentityKind::Role, name).await?;
        let Some(role) = role.filter(|role| role.arn() == role_arn) else {
            return Ok(None);
        };
        let Some(snapshot) = view.snapshot(&role.id).await? else {
            return Ok(None);
        };
        Ok(role.role.map(|facts| (snapshot, facts.trust_policy)))
    }
}

/// The group must be the one that the ARN names: a group of the same name in another account is none.
async fn has_group(logs: &CloudWatchLogsClient, arn: &str) -> Result<(), DestinationProblem> {
    let Ok(parsed) = arn.parse::<Arn>() else {
        return Err(DestinationProblem::NoSuchLogGroup);
    };
    let name = parsed.resource().strip_prefix("log-group:");
    let Some(name) = name else {
        return Err(DestinationProblem::NoSuchLogGroup);
    };
    match logs.group_arn(parsed.region(), name).await {
        Ok(Some(found)) if found == arn => Ok(()),
        Ok(_) => Err(DestinationProblem::NoSuchLogGroup),
        Err(failure) => {
            tracing::info!(group = arn, %failure, "a log group could not be asked for");
            Err(match failure.code.as_str() {
                ServiceFailure::NOT_CONFIGURED => DestinationProblem::LogsUnavailable,
                _ if failure.is_denied() => DestinationProblem::LogGroupDenied,
                _ => DestinationProblem::NoAnswer,
            })
        }
    }
}

fn topic_problem(failure: &ServiceFailure) -> DestinationProblem {
    let is_refused = failure.is_not_found()
        || failure.is_denied()
        || matches!(
            failure.code.as_str(),
            ServiceFailure::NOT_CONFIGURED | "InvalidParameter" | "InvalidParameterException"
        );
    if is_refused {
        DestinationProblem::Topic
    } else {
        DestinationProblem::NoAnswer
    }
}
