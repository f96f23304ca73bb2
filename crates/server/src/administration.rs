//! Cairn's own administration: accounts, and identities as one declarative file.
//!
//! AWS has no API for what an operator does here, so this is a service of Cairn's own, `cairn`, in the
//! Query protocol: signed, authorized and recorded like IAM. **Invariant:** only callers of the
//! operator's account, the one that the first start made, get in, whatever their policies say:
//! an administrator of another account is none here.

mod accounts;
mod apply;
pub(crate) mod document;
mod export;
mod identities;
mod plan;
mod table;

pub(crate) use table::OPERATIONS;

#[cfg(test)]
mod tests;
