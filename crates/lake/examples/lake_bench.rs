//! How fast the lake writes, and what columns cost: `lake_bench EVENTS.ndjson [FOLDER]`.
//!
//! Takes events from a file, appends them to a log in memory, and reports rows built, made hot, flushed and
//! compacted a second, then the bytes of each column. The folder is left for other programs to read.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_catalog::Catalog;
use cairn_eventlog::{EventLog, MemoryLog, NewRecord, RecordKind};
use cairn_lake::{EVENT_HISTORY, Lake, LakeConfig};
use cairn_model::{Completion, PartitionId, canonicalize};
use cairn_platform::{Clock, SystemClock, SystemEntropy};
use parquet::file::reader::{FileReader, SerializedFileReader};

const BATCH: usize = 500;
const LOG_BYTES: usize = 4 << 30;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let input = arguments
        .next()
        .ok_or("usage: lake_bench EVENTS.ndjson [FOLDER]")?;
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| "lake-bench".to_owned()));
    std::fs::create_dir_all(&folder)?;
    let clock = Arc::new(SystemClock::new());
    let log = Arc::new(MemoryLog::new(Arc::clone(&clock) as _, LOG_BYTES, 64 << 20));
    let catalog = Catalog::open(&folder.join("catalog.sqlite"), Arc::clone(&clock) as _).await?;
    let config = LakeConfig {
        data_dir: Lake::folder(&folder),
        history_retention_days: 3_650,
        ..LakeConfig::default()
    };
    let entropy = Arc::new(SystemEntropy::new());
    let lake = Lake::open(
        config.clone(),
        Arc::new(catalog),
        Arc::clone(&log) as _,
        Arc::clone(&clock) as _,
        entropy,
    )
    .await?;

    let records = read_records(&input)?;
    let bytes: usize = records.iter().map(|record| record.body.len()).sum();
    let count = records.len();
    let mut out = std::io::stdout();
    writeln!(out, "{count} events, {} bytes each", bytes / count.max(1))?;
    let half = count / 2;
    let mut measure = async |name: &str, records: &[NewRecord], hot: bool| {
        for batch in records.chunks(BATCH) {
            log.append_durable(PartitionId(0), batch.to_vec()).await?;
        }
        let start = clock.monotonic();
        if hot {
            lake.ingest().await?;
            let made = clock.monotonic().saturating_sub(start);
            report(&mut out, "hot", records.len(), made)?;
        }
        lake.flush().await?;
        let took = clock.monotonic().saturating_sub(start);
        report(&mut out, name, records.len(), took)
    };
    measure("hot, then flushed", &records[..half], true).await?;
    measure("flushed directly", &records[half..], false).await?;
    let start = clock.monotonic();
    lake.maintain().await?;
    let compacted = clock.monotonic().saturating_sub(start);
    let status = lake.status();
    writeln!(out, "maintenance {compacted:?}: {:?}", status.counts)?;
    let table = &status.tables[0];
    writeln!(
        out,
        "{} files, {} rows, {} bytes, {} bytes a row",
        table.data_files,
        table.committed_rows,
        table.data_bytes,
        table.data_bytes / table.committed_rows.max(1)
    )?;
    columns(&mut out, &lake, &config)
}

fn report(
    out: &mut impl Write,
    name: &str,
    rows: usize,
    took: Duration,
) -> Result<(), Box<dyn std::error::Error>> {
    let rows = u32::try_from(rows)?;
    writeln!(
        out,
        "{name}: {:.0} rows/s",
        f64::from(rows) / took.as_secs_f64()
    )?;
    Ok(())
}

fn read_records(input: &str) -> Result<Vec<NewRecord>, Box<dyn std::error::Error>> {
    let mut records = Vec::new();
    let mut new_event_id = || "00000000-0000-4000-8000-000000000000".to_owned();
    for line in std::io::BufReader::new(std::fs::File::open(input)?).lines() {
        let account = "123456789012".parse()?;
        let mut completion = Completion {
            account,
            new_event_id: &mut new_event_id,
        };
        let event = canonicalize(&Bytes::from(line?), &mut completion)?;
        let mut header = Vec::new();
        event.header.encode(&mut header);
        records.push(NewRecord {
            kind: RecordKind::Event,
            header: Bytes::from(header),
            body: event.json,
            context: Bytes::new(),
        });
    }
    Ok(records)
}

/// Bytes of each column over all data files, largest first.
fn columns(
    out: &mut impl Write,
    lake: &Lake,
    config: &LakeConfig,
) -> Result<(), Box<dyn std::error::Error>> {
    let view = lake.read_view(&EVENT_HISTORY.parse()?)?;
    let mut sizes: BTreeMap<String, i64> = BTreeMap::new();
    for file in view.files.iter() {
        let reader =
            SerializedFileReader::new(std::fs::File::open(config.data_dir.join(&file.key))?)?;
        for group in reader.metadata().row_groups() {
            for column in group.columns() {
                let size = column.compressed_size();
                *sizes.entry(column.column_path().string()).or_default() += size;
            }
        }
    }
    let mut sizes: Vec<_> = sizes.into_iter().collect();
    sizes.sort_by_key(|(_, size)| -size);
    let rows = f64::from(u32::try_from(view.rows().max(1))?);
    for (name, size) in sizes.iter().take(24) {
        let size = f64::from(u32::try_from(*size)?);
        writeln!(out, "{:>8.1} bytes a row  {name}", size / rows)?;
    }
    Ok(())
}
