//! The schema's versions, in order. A released migration never changes: a change is a new migration.

use cairn_platform::{SchemaChange, migrate_sqlite};

use crate::error::CatalogError;

/// Number, name and text of every migration.
const MIGRATIONS: &[SchemaChange] = &[
    (1, "base", include_str!("../migrations/0001_base.sql")),
    (2, "lake", include_str!("../migrations/0002_lake.sql")),
    (
        3,
        "outbox quarantine",
        include_str!("../migrations/0003_outbox_quarantine.sql"),
    ),
    (4, "changes", include_str!("../migrations/0004_changes.sql")),
    (5, "trails", include_str!("../migrations/0005_trails.sql")),
    (6, "keys", include_str!("../migrations/0006_keys.sql")),
    (7, "outlets", include_str!("../migrations/0007_outlets.sql")),
    (
        8,
        "spool use",
        include_str!("../migrations/0008_spool_use.sql"),
    ),
    (
        9,
        "outlet waiting",
        include_str!("../migrations/0009_outlet_waiting.sql"),
    ),
];

/// Brings the schema to the program's version. A catalog written by a newer program is refused.
pub(crate) async fn run(pool: &sqlx::SqlitePool) -> Result<(), CatalogError> {
    migrate_sqlite(pool, MIGRATIONS)
        .await
        .map_err(|error| CatalogError::Failed {
            during: "migrating the schema",
            reason: error.to_string(),
        })
}
