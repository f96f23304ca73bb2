//! Large events that compress to nearly nothing: memory is bounded by their bytes, not by their number
//! and not by the size of files.

use crate::stage::{NOW_MS, Stage, check_rows, event_id, history};

const FILES: u32 = 12;
const EVENTS_PER_FILE: u32 = 16;
/// What joining the files may take at its height. Their rows decoded are three times this, and twice as
/// much again would be needed to put them together at once.
const GROWTH_BYTES_MAX: u64 = 220 << 20;

/// An event of 0.9 MB.
fn event(number: u32) -> String {
    let micros = (NOW_MS - i64::from(number + 1) * 1_000) * 1_000;
    let time = cairn_model::EventTime::from_micros(micros).expect("a time");
    format!(
        "{{\"eventVersion\":\"1.11\",\"userIdentity\":{{\"type\":\"IAMUser\"}},\"eventTime\":\"{time}\",\
         \"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"PutBucketPolicy\",\"awsRegion\":\"us-east-1\",\
         \"sourceIPAddress\":\"192.0.2.1\",\"requestParameters\":{{\"policy\":\"{}\"}},\"eventID\":\"{}\",\
         \"readOnly\":false,\"eventType\":\"AwsApiCall\",\"managementEvent\":true,\
         \"recipientAccountId\":\"111111111111\",\"eventCategory\":\"Management\"}}",
        "x".repeat(900_000),
        event_id(number),
    )
}

/// A line of this process's status, in bytes.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = text.lines().find(|line| line.starts_with(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.expect("a number") * 1_024
}

// Proves: H8, R18
#[tokio::test]
async fn large_events_that_compress_well_are_joined_in_bounded_memory() {
    let mut stage = Stage::new().await;
    stage.config.compaction_files_min = 4;
    let lake = stage.open().await;
    for file in 0..FILES {
        let numbers = file * EVENTS_PER_FILE..(file + 1) * EVENTS_PER_FILE;
        let events: Vec<_> = numbers.map(event).collect();
        stage.append(&events).await;
        lake.flush().await.expect("it works");
    }
    // The height is counted from here. Each test has a process to itself under nextest.
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux takes it");
    let before = status("VmRSS");
    lake.maintain().await.expect("it works");
    let growth = status("VmHWM").saturating_sub(before);
    let view = lake.read_view(&history()).expect("the table exists");
    assert_eq!(view.files.len(), 1);
    assert!(
        growth < GROWTH_BYTES_MAX,
        "joining took {} MB",
        growth >> 20
    );
    let bytes = lake.objects().get(&view.files[0].key).await;
    let footer = parquet::file::metadata::ParquetMetaDataReader::new()
        .with_page_index_policy(parquet::file::metadata::PageIndexPolicy::Required)
        .parse_and_finish(&bytes.expect("it exists"))
        .expect("a footer");
    let columns = footer.row_group(0).columns();
    let json = columns
        .iter()
        .position(|column| column.column_path().string() == "eventjson");
    let pages = footer.offset_index().expect("it has one")[0][json.expect("a column")].clone();
    let largest = pages
        .unencoded_byte_array_data_bytes()
        .expect("they are told");
    let largest = largest.iter().max().expect("there are pages");
    assert!(
        *largest < 3 << 20,
        "a page of {largest} bytes for one event"
    );
    let sent: Vec<_> = (0..FILES * EVENTS_PER_FILE).map(event).collect();
    check_rows(&lake, &view, &sent).await;
}
