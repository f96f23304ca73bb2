//! Keys of the local key service: what their owners chose, their aliases, and their material, which is sealed before it
//! comes here. What a key may be used for, and by whom, is not decided here.

mod changes;
mod stored;
mod view;

pub use stored::{Alias, KeyDeletion, KeyRotation, KmsKey, MaterialFacts};
pub use view::{KeyView, ReadKeys};

/// Most items of one page that the catalog gives.
pub const PAGE_ITEMS_MAX: u32 = 1_000;
