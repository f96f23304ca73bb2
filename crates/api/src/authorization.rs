//! From a request to what its caller must be allowed: actions and the ARNs that they are checked on.
//!
//! Pure: resources that only stored state can name (the event data store that a query reads) are handed back as
//! [`Resource::Stored`], for the server to look up; what cannot be found is checked against `*`.

use cairn_model::{AccountId, Region};
use serde_json::Value;

use crate::operations::{Dependency, Operation, ResourceRule, ResourceType, When};

/// Where a call was made: names without account and Region mean resources here.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The caller's account.
    pub account: AccountId,
    /// The Region of the call.
    pub region: &'a Region,
}

/// An action to be allowed on a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The IAM action.
    pub action: &'static str,
    /// What it is checked on.
    pub resource: Resource,
}

/// A resource that an action is checked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `*`.
    Any,
    /// This ARN.
    Arn(String),
    /// What stored state says.
    Stored(Stored),
}

/// A resource that only stored state can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The event data store that this query reads.
    StoreOfQuery(String),
    /// The event data stores that this SQL statement reads.
    StoresOfStatement(String),
    /// The event data stores that the widgets of the dashboard with this ARN read.
    StoresOfDashboard(String),
}

/// Everything that the caller of `operation` must be allowed: the operation's own action first. All must be allowed.
pub fn targets(operation: &Operation, request: &Value, scope: Scope<'_>) -> Vec<Target> {
    let mut targets: Vec<Target> = resources(operation.resource, request, scope)
        .into_iter()
        .map(|resource| Target {
            action: operation.iam_action,
            resource,
        })
        .collect();
    for dependency in operation.dependencies {
        if applies(dependency, request) {
            targets.extend(
                resources(dependency.resource, request, scope)
                    .into_iter()
                    .map(|resource| Target {
                        action: dependency.action,
                        resource,
                    }),
            );
        }
    }
    targets
}

/// The condition keys that the request itself fills, each with its values: `aws:RequestTag/KEY` and `aws:TagKeys`
/// from tags that it carries (SEC-132), and `cloudtrail:ExternalId` (SEC-131). A key without values is left out, so
/// that policies see it as missing.
pub fn condition_keys(operation: &Operation, request: &Value) -> Vec<(String, Vec<String>)> {
    let mut keys: Vec<(String, Vec<String>)> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let lists = ["Tags", "TagsList"]
        .into_iter()
        .filter_map(|member| request.get(member));
    for tag in lists.filter_map(Value::as_array).flatten() {
        let Some(name) = tag.get("Key").and_then(Value::as_str) else {
            continue;
        };
        // What is taken away is named by key alone.
        if operation.name != "RemoveTags" {
            let value = tag.get("Value").and_then(Value::as_str).unwrap_or_default();
            keys.push((format!("aws:RequestTag/{name}"), vec![value.to_owned()]));
        }
        names.push(name.to_owned());
    }
    if !names.is_empty() {
        keys.push(("aws:TagKeys".to_owned(), names));
    }
    if let Some(id) = request.get("externalId").and_then(Value::as_str) {
        keys.push(("cloudtrail:ExternalId".to_owned(), vec![id.to_owned()]));
    }
    keys
}

/// The ARN of a CloudTrail resource: `reference` itself when it is an ARN, else made of the name or ID it is.
pub fn arn(kind: ResourceType, reference: &str, scope: Scope<'_>) -> String {
    if reference.starts_with("arn:") {
        return reference.to_owned();
    }
    let Scope { account, region } = scope;
    format!(
        "arn:aws:cloudtrail:{region}:{account}:{}/{reference}",
        kind.arn_prefix()
    )
}

fn applies(dependency: &Dependency, request: &Value) -> bool {
    match dependency.when {
        When::Always => true,
        When::Given(member) => request.get(member).is_some_and(|value| !value.is_null()),
        When::True(member) => request.get(member).and_then(Value::as_bool) == Some(true),
    }
}

/// The resources that a rule names in a request; `*` when it names none. Never empty: an action without a resource
/// would be an action without a check.
fn resources(rule: ResourceRule, request: &Value, scope: Scope<'_>) -> Vec<Resource> {
    let text = |member: &str| request.get(member).and_then(Value::as_str);
    let one = |kind: ResourceType, member: &str| {
        text(member).map(|reference| Resource::Arn(arn(kind, reference, scope)))
    };
    let many = |kind: ResourceType, member: &str| -> Vec<Resource> {
        texts(request.get(member))
            .map(|reference| Resource::Arn(arn(kind, reference, scope)))
            .collect()
    };
    let stored = |of: fn(String) -> Stored, member: &str| {
        text(member).map(|named| Resource::Stored(of(named.to_owned())))
    };
    let named: Vec<Resource> = match rule {
        ResourceRule::Any => Vec::new(),
        ResourceRule::Trail(member) | ResourceRule::Arn(member) => {
            one(ResourceType::Trail, member).into_iter().collect()
        }
        ResourceRule::EventDataStore(member) => one(ResourceType::EventDataStore, member)
            .into_iter()
            .collect(),
        ResourceRule::Channel(member) => one(ResourceType::Channel, member).into_iter().collect(),
        ResourceRule::Dashboard(member) => {
            one(ResourceType::Dashboard, member).into_iter().collect()
        }
        ResourceRule::EventDataStores(member) => many(ResourceType::EventDataStore, member),
        ResourceRule::Arns(member) => many(ResourceType::Trail, member),
        ResourceRule::TrailOrEventDataStore(trail, store) => one(ResourceType::Trail, trail)
            .into_iter()
            .chain(one(ResourceType::EventDataStore, store))
            .collect(),
        ResourceRule::StoreOfQuery(member) => one(ResourceType::EventDataStore, member)
            .or_else(|| stored(Stored::StoreOfQuery, "QueryId"))
            .into_iter()
            .collect(),
        ResourceRule::StoresOfStatement(member) => stored(Stored::StoresOfStatement, member)
            .into_iter()
            .collect(),
        ResourceRule::StoresOfDashboard(member) => text(member)
            .map(|reference| arn(ResourceType::Dashboard, reference, scope))
            .map(|arn| Resource::Stored(Stored::StoresOfDashboard(arn)))
            .into_iter()
            .collect(),
        ResourceRule::StoresOfWidgets(member) => request
            .get(member)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|widget| widget.get("QueryStatement").and_then(Value::as_str))
            .map(|statement| Resource::Stored(Stored::StoresOfStatement(statement.to_owned())))
            .collect(),
        ResourceRule::Verbatim(path) => path
            .iter()
            .try_fold(request, |value, member| value.get(*member))
            .and_then(Value::as_str)
            .map(|text| Resource::Arn(text.to_owned()))
            .into_iter()
            .collect(),
    };
    if named.is_empty() {
        vec![Resource::Any]
    } else {
        named
    }
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

#[cfg(test)]
mod tests;
