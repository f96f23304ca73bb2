//! Who there is: accounts, users, groups, roles, keys and their policies.

mod cache;

pub use cache::IdentityCache;
