//! Policies of buckets: what S3 asks of them beyond the language itself. Every resource must lie in the
//! bucket and every action must be S3's, so that a policy says nothing that it cannot bring about.

use super::json::Json;
use super::template::{Marks, Template, matches};
use super::{ContextKeys, PolicyDocument, PolicyError, PolicyKind};

/// The longest policy of a bucket, in bytes.
pub const BUCKET_POLICY_BYTES_MAX: usize = 20 * 1024;

/// What every bucket and object of AWS's begins with.
const ARN_START: &str = "arn:aws:s3:::";

/// Reads the policy of the bucket `name`.
pub fn bucket_policy(name: &str, json: &str) -> Result<PolicyDocument, PolicyError> {
    if json.len() > BUCKET_POLICY_BYTES_MAX {
        let limit = BUCKET_POLICY_BYTES_MAX;
        return Err(PolicyError::TooLong { limit });
    }
    let policy = PolicyDocument::parse(json, PolicyKind::Resource)?;
    for (element, value) in Json::parse(json)?.into_object("policy")? {
        if element != "Statement" {
            continue;
        }
        let statements = match value {
            Json::List(statements) => statements,
            statement => vec![statement],
        };
        for statement in statements {
            check_statement(name, statement)?;
        }
    }
    Ok(policy)
}

fn check_statement(bucket: &str, statement: Json) -> Result<(), PolicyError> {
    for (element, value) in statement.into_object("Statement")? {
        match element.as_str() {
            "Action" | "NotAction" => check_actions(value)?,
            "Resource" | "NotResource" => check_resources(bucket, value)?,
            _ => {}
        }
    }
    Ok(())
}

fn check_actions(actions: Json) -> Result<(), PolicyError> {
    let actions = actions.into_texts("Action")?;
    if actions.iter().all(|action| is_of_s3(action)) {
        Ok(())
    } else {
        Err(PolicyError::ForeignAction)
    }
}

fn check_resources(bucket: &str, resources: Json) -> Result<(), PolicyError> {
    for resource in resources.into_texts("Resource")? {
        if !is_in_bucket(bucket, &resource)? {
            return Err(PolicyError::ForeignResource);
        }
    }
    Ok(())
}

fn is_of_s3(action: &str) -> bool {
    let service = action.split(':').next().unwrap_or_default();
    action.bytes().all(|byte| byte == b'*') || service.eq_ignore_ascii_case("s3")
}

/// Whether a resource may mean the bucket or something in it. Wildcards may stand in the name as long
/// as they mean this bucket too; variables may stand in keys alone.
fn is_in_bucket(bucket: &str, resource: &str) -> Result<bool, PolicyError> {
    if resource == "*" {
        return Ok(true);
    }
    let Some(path) = resource.strip_prefix(ARN_START) else {
        return Ok(false);
    };
    let name = path.split('/').next().unwrap_or_default();
    let marks = Marks {
        wildcards: true,
        variables: false,
    };
    let template = Template::parse(name, marks)?;
    let keys = ContextKeys::new();
    let units = template.resolve(&keys);
    Ok(units.is_some_and(|units| matches(&units, bucket)))
}
