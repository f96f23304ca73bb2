//! Catalog tests through its public interface.
//!
//! `base`: opening, durability settings, outbox, settings. `identity`: identities, keys, policies, caches.
//! `keys`: KMS keys, their material and aliases. `rollback`: lost changes and the witness that tells of them. `trails`: versions, names, tags, status, keys.

mod base;
mod identity;
mod keys;
mod rollback;
mod trails;
