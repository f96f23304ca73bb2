//! This crate keeps Cairn's configuration durable: identities, settings, lake state and the outbox,
//! each mutation together with the records that tell of it, in one SQL transaction.

mod error;
pub mod identity;
pub mod keys;
pub mod lake;
mod migrations;
mod open;
mod outbox;
mod settings;
pub mod trails;
mod transaction;
mod witness;

pub use error::CatalogError;
pub use open::Catalog;
pub use outbox::{DrainedEntry, OutboxEntry, OutboxId, OutboxRecord, QuarantinedRecord};
pub use transaction::{ReadTransaction, WriteTransaction};
