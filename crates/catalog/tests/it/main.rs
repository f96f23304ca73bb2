//! Catalog tests through its public interface.
//!
//! `base`: opening, durability settings, outbox, settings.

mod base;
