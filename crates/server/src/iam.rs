//! The part of IAM's API that manages Cairn's identities, so that `aws iam`, SDKs and Terraform work.
//!
//! `table` lists every operation. One file per family: operations on users, groups and roles that
//! differ in nothing but the noun are one function, and the table's row says which noun.

mod access_keys;
mod account;
mod attachments;
mod authorization;
mod boundaries;
mod details;
mod groups;
mod inline_policies;
mod managed_policies;
mod paging;
mod roles;
mod shapes;
mod subject;
mod table;
mod tags;
mod users;

pub(crate) use access_keys::{IssuedKey, issue_access_key};
pub(crate) use authorization::authorization_targets;
pub use table::OPERATIONS;

#[cfg(test)]
mod tests;
