//! The lake's SQL statements, each on a connection whose transaction the caller owns.

use cairn_model::{PartitionId, Sequence};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{
    Generation, HotObject, LakeCatalogError, TableId, TablePosition, TableState, WriterEpoch,
};

type Result<T> = std::result::Result<T, LakeCatalogError>;

/// The database's refusal, with what was being done.
pub(super) fn failed(doing: &'static str) -> impl FnOnce(sqlx::Error) -> LakeCatalogError {
    move |error| LakeCatalogError::Database {
        doing,
        reason: error.to_string(),
    }
}

pub(super) fn to_sql(value: u64, name: &'static str) -> Result<i64> {
    i64::try_from(value).map_err(|_| LakeCatalogError::OutOfRange(name))
}

fn from_sql(value: i64, name: &'static str) -> Result<u64> {
    u64::try_from(value).map_err(|_| LakeCatalogError::OutOfRange(name))
}

fn column<'r, T>(row: &'r SqliteRow, name: &'static str) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(name).map_err(failed("reading a column"))
}

/// Refuses a writer that has been superseded (R7, R12).
pub(super) async fn check_epoch(
    connection: &mut SqliteConnection,
    writer: &str,
    held: WriterEpoch,
) -> Result<()> {
    let current: Option<i64> =
        sqlx::query_scalar("SELECT epoch FROM lake_writers WHERE writer = ?")
            .bind(writer)
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed("reading the writer's epoch"))?;
    let current = from_sql(current.unwrap_or(0), "epoch")?;
    if current == held.0 {
        Ok(())
    } else {
        Err(LakeCatalogError::Fenced {
            held: held.0,
            current,
        })
    }
}

pub(super) async fn take_epoch(
    connection: &mut SqliteConnection,
    writer: &str,
) -> Result<WriterEpoch> {
    let epoch: i64 = sqlx::query_scalar(
        "INSERT INTO lake_writers (writer, epoch) VALUES (?, 1)
         ON CONFLICT (writer) DO UPDATE SET epoch = epoch + 1 RETURNING epoch",
    )
    .bind(writer)
    .fetch_one(connection)
    .await
    .map_err(failed("taking the writer's epoch"))?;
    Ok(WriterEpoch(from_sql(epoch, "epoch")?))
}

pub(super) async fn list_tables(connection: &mut SqliteConnection) -> Result<Vec<TableId>> {
    let names: Vec<String> =
        sqlx::query_scalar("SELECT table_id FROM lake_tables ORDER BY table_id")
            .fetch_all(connection)
            .await
            .map_err(failed("listing tables"))?;
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        tables.push(
            name.parse()
                .map_err(|_| LakeCatalogError::OutOfRange("table name"))?,
        );
    }
    Ok(tables)
}

pub(super) async fn read_table(
    connection: &mut SqliteConnection,
    table: &TableId,
) -> Result<Option<TableState>> {
    let Some(row) = sqlx::query("SELECT metadata, generation FROM lake_tables WHERE table_id = ?")
        .bind(table.as_str())
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed("reading a table"))?
    else {
        return Ok(None);
    };
    Ok(Some(TableState {
        table: table.clone(),
        metadata: column(&row, "metadata")?,
        generation: Generation(from_sql(column(&row, "generation")?, "generation")?),
        positions: read_positions(connection, table).await?,
        hot: read_hot(connection, table).await?,
    }))
}

async fn read_positions(
    connection: &mut SqliteConnection,
    table: &TableId,
) -> Result<Vec<TablePosition>> {
    let rows = sqlx::query(
        "SELECT partition_id, committed_end, hot_end FROM lake_positions
         WHERE table_id = ? ORDER BY partition_id",
    )
    .bind(table.as_str())
    .fetch_all(connection)
    .await
    .map_err(failed("reading positions"))?;
    let mut positions = Vec::with_capacity(rows.len());
    for row in rows {
        positions.push(TablePosition {
            partition: partition(&row)?,
            committed_end: sequence(&row, "committed_end")?,
            hot_end: sequence(&row, "hot_end")?,
        });
    }
    Ok(positions)
}

async fn read_hot(connection: &mut SqliteConnection, table: &TableId) -> Result<Vec<HotObject>> {
    let rows = sqlx::query(
        "SELECT object, partition_id, start_sequence, end_sequence, row_count, byte_count, checksum
         FROM lake_hot_objects WHERE table_id = ? ORDER BY partition_id, start_sequence",
    )
    .bind(table.as_str())
    .fetch_all(connection)
    .await
    .map_err(failed("reading hot objects"))?;
    let mut objects = Vec::with_capacity(rows.len());
    for row in rows {
        let checksum: i64 = column(&row, "checksum")?;
        objects.push(HotObject {
            object: column(&row, "object")?,
            partition: partition(&row)?,
            range: sequence(&row, "start_sequence")?..sequence(&row, "end_sequence")?,
            rows: from_sql(column(&row, "row_count")?, "row_count")?,
            bytes: from_sql(column(&row, "byte_count")?, "byte_count")?,
            checksum: u32::try_from(checksum)
                .map_err(|_| LakeCatalogError::OutOfRange("checksum"))?,
        });
    }
    Ok(objects)
}

fn partition(row: &SqliteRow) -> Result<PartitionId> {
    let number: i64 = column(row, "partition_id")?;
    let number = u16::try_from(number).map_err(|_| LakeCatalogError::OutOfRange("partition_id"))?;
    Ok(PartitionId(number))
}

fn sequence(row: &SqliteRow, name: &'static str) -> Result<Sequence> {
    Ok(Sequence(from_sql(column(row, name)?, name)?))
}

pub(super) async fn insert_table(
    connection: &mut SqliteConnection,
    table: &TableId,
    metadata: &str,
) -> Result<()> {
    let done = sqlx::query(
        "INSERT INTO lake_tables (table_id, metadata, generation) VALUES (?, ?, 1)
         ON CONFLICT DO NOTHING",
    )
    .bind(table.as_str())
    .bind(metadata)
    .execute(connection)
    .await
    .map_err(failed("creating a table"))?;
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(LakeCatalogError::TableExists(table.clone()))
    }
}

/// The next generation of a table, counted in the same transaction as what changes.
pub(super) async fn next_generation(
    connection: &mut SqliteConnection,
    table: &TableId,
) -> Result<Generation> {
    let generation: Option<i64> = sqlx::query_scalar(
        "UPDATE lake_tables SET generation = generation + 1 WHERE table_id = ? RETURNING generation",
    )
    .bind(table.as_str())
    .fetch_optional(connection)
    .await
    .map_err(failed("counting a generation"))?;
    let generation = generation.ok_or_else(|| LakeCatalogError::NoSuchTable(table.clone()))?;
    Ok(Generation(from_sql(generation, "generation")?))
}

pub(super) async fn set_metadata(
    connection: &mut SqliteConnection,
    table: &TableId,
    metadata: &str,
) -> Result<()> {
    sqlx::query("UPDATE lake_tables SET metadata = ? WHERE table_id = ?")
        .bind(metadata)
        .bind(table.as_str())
        .execute(connection)
        .await
        .map_err(failed("moving the metadata pointer"))?;
    Ok(())
}

pub(super) async fn set_position(
    connection: &mut SqliteConnection,
    table: &TableId,
    position: TablePosition,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO lake_positions (table_id, partition_id, committed_end, hot_end)
         VALUES (?, ?, ?, ?)
         ON CONFLICT (table_id, partition_id) DO UPDATE
         SET committed_end = excluded.committed_end, hot_end = excluded.hot_end",
    )
    .bind(table.as_str())
    .bind(i64::from(position.partition.0))
    .bind(to_sql(position.committed_end.0, "committed_end")?)
    .bind(to_sql(position.hot_end.0, "hot_end")?)
    .execute(connection)
    .await
    .map_err(failed("moving a position"))?;
    Ok(())
}

pub(super) async fn insert_hot(
    connection: &mut SqliteConnection,
    table: &TableId,
    object: &HotObject,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO lake_hot_objects
         (table_id, object, partition_id, start_sequence, end_sequence, row_count, byte_count,
          checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(table.as_str())
    .bind(&object.object)
    .bind(i64::from(object.partition.0))
    .bind(to_sql(object.range.start.0, "start_sequence")?)
    .bind(to_sql(object.range.end.0, "end_sequence")?)
    .bind(to_sql(object.rows, "row_count")?)
    .bind(to_sql(object.bytes, "byte_count")?)
    .bind(i64::from(object.checksum))
    .execute(connection)
    .await
    .map_err(failed("registering a hot object"))?;
    Ok(())
}

/// Takes hot objects out of the table's state; they become garbage of `generation`.
pub(super) async fn retire_hot(
    connection: &mut SqliteConnection,
    table: &TableId,
    objects: &[String],
    generation: Generation,
) -> Result<()> {
    for object in objects {
        sqlx::query("DELETE FROM lake_hot_objects WHERE table_id = ? AND object = ?")
            .bind(table.as_str())
            .bind(object)
            .execute(&mut *connection)
            .await
            .map_err(failed("retiring a hot object"))?;
    }
    add_garbage(connection, table, objects, generation).await
}

pub(super) async fn add_garbage(
    connection: &mut SqliteConnection,
    table: &TableId,
    objects: &[String],
    generation: Generation,
) -> Result<()> {
    let generation = to_sql(generation.0, "generation")?;
    for object in objects {
        sqlx::query(
            "INSERT INTO lake_garbage (table_id, object, retired_generation) VALUES (?, ?, ?)",
        )
        .bind(table.as_str())
        .bind(object)
        .bind(generation)
        .execute(&mut *connection)
        .await
        .map_err(failed("noting garbage"))?;
    }
    Ok(())
}

pub(super) async fn put_lease(
    connection: &mut SqliteConnection,
    holder: &str,
    table: &TableId,
    since: Generation,
    expires_ms: i64,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO lake_leases (holder, table_id, generation, expires_ms) VALUES (?, ?, ?, ?)
         ON CONFLICT (holder, table_id) DO UPDATE
         SET generation = excluded.generation, expires_ms = excluded.expires_ms",
    )
    .bind(holder)
    .bind(table.as_str())
    .bind(to_sql(since.0, "generation")?)
    .bind(expires_ms)
    .execute(connection)
    .await
    .map_err(failed("taking a lease"))?;
    Ok(())
}

/// Forgets the leases that expired before `now_ms`.
pub(super) async fn forget_leases(connection: &mut SqliteConnection, now_ms: i64) -> Result<()> {
    sqlx::query("DELETE FROM lake_leases WHERE expires_ms < ?")
        .bind(now_ms)
        .execute(connection)
        .await
        .map_err(failed("forgetting leases"))?;
    Ok(())
}
