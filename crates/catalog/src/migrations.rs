//! The schema's versions, in order. A released migration never changes: a change is a new migration.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use crate::error::CatalogError;

/// Number, name and text of every migration.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "base", include_str!("../migrations/0001_base.sql")),
    (2, "lake", include_str!("../migrations/0002_lake.sql")),
    (
        3,
        "outbox quarantine",
        include_str!("../migrations/0003_outbox_quarantine.sql"),
    ),
    (4, "changes", include_str!("../migrations/0004_changes.sql")),
    (5, "trails", include_str!("../migrations/0005_trails.sql")),
    (
        8,
        "spool use",
        include_str!("../migrations/0008_spool_use.sql"),
    ),
];

/// Brings the schema to the program's version. A catalog written by a newer program is refused.
pub(crate) async fn run(pool: &sqlx::SqlitePool) -> Result<(), CatalogError> {
    let migrations = MIGRATIONS
        .iter()
        .map(|(version, name, text)| {
            Migration::new(
                *version,
                (*name).into(),
                MigrationType::Simple,
                text.into_sql_str(),
                false,
            )
        })
        .collect();
    Migrator::with_migrations(migrations)
        .run(pool)
        .await
        .map_err(|error| CatalogError::Failed {
            during: "migrating the schema",
            reason: error.to_string(),
        })
}
