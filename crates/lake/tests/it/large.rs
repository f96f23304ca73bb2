//! Large events: memory is bounded by their bytes, not by their number. Those that compress to nearly
//! nothing are not bounded by the size of files, those that hardly compress make large files.

use cairn_lake::{LookupKey, LookupQuery, LookupSource};
use cairn_platform::{Entropy as _, SeededEntropy};

use crate::stage::{NOW_MS, Stage, check_rows, event_id, history};

const FILES: u32 = 12;
const EVENTS_PER_FILE: u32 = 16;
/// What joining the files may take at its height. Their rows decoded are three times this, and twice as
/// much again would be needed to put them together at once.
const GROWTH_BYTES_MAX: u64 = 220 << 20;

/// An event of 0.9 MB that compresses to nearly nothing.
fn event(number: u32) -> String {
    event_with(number, &"x".repeat(900_000))
}

fn event_with(number: u32, policy: &str) -> String {
    let micros = (NOW_MS - i64::from(number + 1) * 1_000) * 1_000;
    let time = cairn_model::EventTime::from_micros(micros).expect("a time");
    format!(
        "{{\"eventVersion\":\"1.11\",\"userIdentity\":{{\"type\":\"IAMUser\"}},\"eventTime\":\"{time}\",\
         \"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"PutBucketPolicy\",\"awsRegion\":\"us-east-1\",\
         \"sourceIPAddress\":\"192.0.2.1\",\"requestParameters\":{{\"policy\":\"{policy}\"}},\"eventID\":\"{}\",\
         \"readOnly\":false,\"eventType\":\"AwsApiCall\",\"managementEvent\":true,\
         \"recipientAccountId\":\"111111111111\",\"eventCategory\":\"Management\"}}",
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

const LARGE_FILE_BYTES: u64 = 64 << 20;
/// What joining takes beside the file that it makes: the rows in hand, a row group, and what the allocator
/// keeps of both. Measured: 122 to 149 MiB. Reading the joined files whole would take 110 MiB more.
const BESIDE_BYTES_MAX: u64 = 192 << 20;

/// An event of 0.7 MB that hardly compresses.
fn random_event(number: u32) -> String {
    let mut bytes = vec![0; 700_000];
    SeededEntropy::new(u64::from(number) + 1).fill(&mut bytes);
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letter = |byte: &u8| char::from(letters[usize::from(byte % 64)]);
    event_with(number, &bytes.iter().map(letter).collect::<String>())
}

// Proves: R18
#[tokio::test]
async fn files_that_hardly_compress_are_joined_in_the_memory_of_one() {
    let mut stage = Stage::new().await;
    stage.config.compaction_files_min = 2;
    stage.config.compaction_file_bytes = LARGE_FILE_BYTES;
    // One file for each flush.
    stage.config.read_bytes_max = 96 << 20;
    let lake = stage.open().await;
    for numbers in [0..60, 60..120] {
        for number in numbers {
            stage.append(&[random_event(number)]).await;
        }
        lake.flush().await.expect("it works");
    }
    let view = lake.read_view(&history()).expect("the table exists");
    let sizes: Vec<_> = view.files.iter().map(|file| file.bytes).collect();
    assert_eq!(sizes.len(), 2);
    assert!(sizes.iter().sum::<u64>() > 110 << 20, "{sizes:?}");
    drop(view);
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux takes it");
    let before = status("VmRSS");
    lake.maintain().await.expect("it works");
    let growth = status("VmHWM").saturating_sub(before);
    let view = lake.read_view(&history()).expect("the table exists");
    assert_eq!(view.files.len(), 1);
    let bound = view.files[0].bytes + BESIDE_BYTES_MAX;
    let (took, made) = (growth >> 20, view.files[0].bytes >> 20);
    eprintln!("joining took {took} MiB for a file of {made}");
    assert!(
        growth < bound,
        "joining took {took} MiB for a file of {made}"
    );
    // Its row groups end by bytes, and an event in each of them is found.
    for number in [0, 119] {
        let query = LookupQuery {
            account: "111111111111".parse().expect("valid"),
            region: "us-east-1".parse().expect("valid"),
            source: LookupSource::Management,
            attribute: Some((LookupKey::EventId, event_id(number))),
            start: None,
            end: None,
            max_results: 50,
            after: None,
        };
        let page = lake.lookup(query).await.expect("it is found");
        assert_eq!(page.events.len(), 1);
        assert_eq!(page.events[0].event_id, event_id(number));
    }
    let sent: Vec<_> = (0..120).map(random_event).collect();
    check_rows(&lake, &view, &sent).await;
}
