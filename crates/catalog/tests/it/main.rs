//! Catalog tests through its public interface.
//!
//! `base`: opening, durability settings, outbox, settings. `identity`: identities, keys, policies, caches.

mod base;
mod identity;
