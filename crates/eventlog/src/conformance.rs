//! What every implementation of `EventLog` must do, as one suite. A test gives `check_all` a way to open a
//! fresh log; every panic names the promise that was broken. Durability is not in here: it needs an
//! implementation's own disk (tests/it/simulation.rs).

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use cairn_model::{PartitionId, Sequence};

use crate::{AppendError, EventLog, LogRecord, NewRecord, ReadError, RecordKind};

const PARTITION: PartitionId = PartitionId(0);

/// What the suite must know about the logs that it gets.
#[derive(Clone, Copy, Debug)]
pub struct Expectations {
    /// A batch of more bytes is refused; at least 64 KiB.
    pub batch_bytes_max: usize,
    /// Appending this many bytes that every reader has passed lets the log release its start.
    pub released_after_bytes: usize,
}

/// Runs the whole suite, each scenario on a log of its own.
pub async fn check_all<Open, Opened>(open: Open, expectations: Expectations)
where
    Open: Fn() -> Opened,
    Opened: Future<Output = Arc<dyn EventLog>>,
{
    starts_empty(open().await.as_ref()).await;
    gives_back_what_was_appended(open().await.as_ref()).await;
    sequences_have_no_gaps(open().await).await;
    empty_batches_change_nothing(open().await.as_ref()).await;
    reads_are_bounded_and_complete(open().await.as_ref()).await;
    refuses_what_is_too_large(open().await.as_ref(), expectations).await;
    waits_until_there_is_more(open().await.as_ref()).await;
    releases_what_all_readers_passed(open().await.as_ref(), expectations).await;
    positions_never_move_back(open().await.as_ref(), expectations).await;
}

/// A record whose every byte follows from `number`.
pub fn record(number: u64, body_bytes: usize) -> NewRecord {
    let mut body = format!(r#"{{"eventID":"{number}","padding":""#).into_bytes();
    while body.len() < body_bytes {
        body.push(b'a' + u8::try_from((number + body.len() as u64) % 26).expect("below 26"));
    }
    body.extend_from_slice(br#""}"#);
    let context = if number.is_multiple_of(3) {
        format!("context {number}")
    } else {
        String::new()
    };
    NewRecord {
        kind: if number.is_multiple_of(7) {
            RecordKind::Control
        } else {
            RecordKind::Event
        },
        header: Bytes::from(number.to_le_bytes().to_vec()),
        body: Bytes::from(body),
        context: Bytes::from(context),
    }
}

/// All records from `from` to the durable end.
pub async fn read_all(
    log: &dyn EventLog,
    from: Sequence,
    bytes_max: usize,
) -> Result<Vec<LogRecord>, ReadError> {
    let mut all: Vec<LogRecord> = Vec::new();
    let mut next = from;
    loop {
        let records = log.read(PARTITION, next, bytes_max).await?;
        let Some(last) = records.last() else {
            return Ok(all);
        };
        next = last.sequence.plus(1);
        all.extend(records);
    }
}

async fn starts_empty(log: &dyn EventLog) {
    assert_eq!(log.start(PARTITION), Sequence(0), "a new log starts at 0");
    assert_eq!(
        log.durable_end(PARTITION),
        Sequence(0),
        "a new log ends at 0"
    );
    let records = log
        .read(PARTITION, Sequence(0), 1024)
        .await
        .expect("a new log can be read");
    assert!(records.is_empty(), "a new log holds nothing");
}

async fn gives_back_what_was_appended(log: &dyn EventLog) {
    let mut appended = Vec::new();
    for (batch, count) in [1_u64, 3, 1, 40].into_iter().enumerate() {
        let batch: Vec<_> = (0..count)
            .map(|n| record(n + 100 * batch as u64, 700))
            .collect();
        appended.extend(batch.iter().cloned());
        let range = log
            .append_durable(PARTITION, batch)
            .await
            .expect("there is room");
        assert_eq!(
            range.end.0 - range.start.0,
            count,
            "a range counts its records"
        );
        assert_eq!(
            range.end,
            log.durable_end(PARTITION),
            "an acknowledged batch is durable"
        );
    }
    let read = read_all(log, Sequence(0), 1 << 20)
        .await
        .expect("all of it can be read");
    let contents: Vec<_> = read.iter().map(|record| record.record.clone()).collect();
    assert_eq!(
        contents, appended,
        "records come back byte for byte and in order"
    );
    let from_middle = read_all(log, Sequence(5), 1 << 20)
        .await
        .expect("reads start anywhere");
    assert_eq!(
        from_middle,
        read[5..],
        "a read starts at the sequence that was asked for"
    );
}

async fn sequences_have_no_gaps(log: Arc<dyn EventLog>) {
    let appends = (0..16_u64).map(|producer| {
        let log = Arc::clone(&log);
        async move {
            let mut ranges = Vec::new();
            for batch in 0..8_u64 {
                let records = (0..=batch % 4).map(|n| record(producer * 100 + batch * 10 + n, 50));
                let records: Vec<_> = records.collect();
                let appended = log.append_durable(PARTITION, records.clone()).await;
                ranges.push((appended.expect("there is room"), records));
            }
            ranges
        }
    });
    let mut ranges: Vec<_> = futures::future::join_all(appends).await.concat();
    ranges.sort_by_key(|(range, _)| range.start);
    let mut expected = Sequence(0);
    for (range, _) in &ranges {
        assert_eq!(range.start, expected, "ranges join without gap or overlap");
        expected = range.end;
    }
    let read = read_all(log.as_ref(), Sequence(0), 4096)
        .await
        .expect("all of it can be read");
    let contents: Vec<_> = read.iter().map(|record| record.record.clone()).collect();
    let appended: Vec<_> = ranges
        .into_iter()
        .flat_map(|(_, records)| records)
        .collect();
    assert_eq!(contents, appended, "each batch stands where its range says");
    for (index, record) in read.iter().enumerate() {
        assert_eq!(record.sequence.0, index as u64, "sequences have no gaps");
    }
}

async fn empty_batches_change_nothing(log: &dyn EventLog) {
    log.append_durable(PARTITION, vec![record(1, 10)])
        .await
        .expect("there is room");
    let range = log
        .append_durable(PARTITION, Vec::new())
        .await
        .expect("nothing is no trouble");
    assert_eq!(
        range,
        Sequence(1)..Sequence(1),
        "an empty batch has an empty range at the end"
    );
    assert_eq!(
        log.durable_end(PARTITION),
        Sequence(1),
        "an empty batch appends nothing"
    );
}

async fn reads_are_bounded_and_complete(log: &dyn EventLog) {
    let records: Vec<_> = (0..50).map(|n| record(n, 1000)).collect();
    log.append_durable(PARTITION, records)
        .await
        .expect("there is room");
    let one = log
        .read(PARTITION, Sequence(7), 0)
        .await
        .expect("a read of nothing gives one");
    assert_eq!(
        one.len(),
        1,
        "a read gives at least one record if there is one"
    );
    assert_eq!(
        one[0].sequence,
        Sequence(7),
        "and it is the one that was asked for"
    );
    let some = log
        .read(PARTITION, Sequence(0), 10_000)
        .await
        .expect("records can be read");
    assert!(
        (9..=11).contains(&some.len()),
        "about 10,000 bytes, not {} records",
        some.len()
    );
    let past = log
        .read(PARTITION, Sequence(50), 1000)
        .await
        .expect("the end can be read");
    assert!(past.is_empty(), "a read at the durable end is empty");
}

async fn refuses_what_is_too_large(log: &dyn EventLog, expectations: Expectations) {
    let pieces = expectations.batch_bytes_max / 30_000 + 1;
    let records: Vec<_> = (0..pieces as u64).map(|n| record(n, 30_000)).collect();
    let refused = log.append_durable(PARTITION, records).await;
    assert!(
        matches!(refused, Err(AppendError::RefusedTooLarge { bytes }) if bytes > expectations.batch_bytes_max),
        "a batch over the limit is refused by name, not {refused:?}"
    );
    assert_eq!(
        log.durable_end(PARTITION),
        Sequence(0),
        "nothing of a refused batch is kept"
    );
    log.append_durable(PARTITION, vec![record(1, 30_000)])
        .await
        .expect("the log goes on");
}

async fn waits_until_there_is_more(log: &dyn EventLog) {
    let mut waiting = pin!(log.wait_beyond(PARTITION, Sequence(1)));
    assert!(
        is_pending(waiting.as_mut()).await,
        "nothing has been appended yet"
    );
    log.append_durable(PARTITION, vec![record(0, 10)])
        .await
        .expect("there is room");
    assert!(
        is_pending(waiting.as_mut()).await,
        "the end is 1 and not beyond it"
    );
    log.append_durable(PARTITION, vec![record(1, 10)])
        .await
        .expect("there is room");
    waiting.await;
    log.wait_beyond(PARTITION, Sequence(0)).await;
}

async fn releases_what_all_readers_passed(log: &dyn EventLog, expectations: Expectations) {
    fill(log, expectations).await;
    let end = log.durable_end(PARTITION);
    log.advance_reader(PARTITION, "slow", Sequence(0));
    log.advance_reader(PARTITION, "fast", end);
    assert_eq!(
        log.start(PARTITION),
        Sequence(0),
        "one reader still needs all of it"
    );
    log.read(PARTITION, Sequence(0), 1)
        .await
        .expect("what a reader needs can be read");
    log.advance_reader(PARTITION, "slow", end);
    let start = log.start(PARTITION);
    assert!(
        start > Sequence(0),
        "what all readers have passed is released"
    );
    let released = log.read(PARTITION, Sequence(0), 1).await;
    assert!(
        matches!(released, Err(ReadError::Released { start: stated }) if stated == start),
        "a read before the start says where the start is, not {released:?}"
    );
    let range = log
        .append_durable(PARTITION, vec![record(1, 10)])
        .await
        .expect("the log goes on");
    assert_eq!(
        range.start, end,
        "a release does not change what comes next"
    );
    let read = log
        .read(PARTITION, end, 1)
        .await
        .expect("what is new can be read");
    assert_eq!(read[0].record, record(1, 10), "and it is what was appended");
}

async fn positions_never_move_back(log: &dyn EventLog, expectations: Expectations) {
    fill(log, expectations).await;
    let end = log.durable_end(PARTITION);
    log.advance_reader(PARTITION, "other", Sequence(0));
    log.advance_reader(PARTITION, "reader", end);
    log.advance_reader(PARTITION, "reader", Sequence(0));
    log.advance_reader(PARTITION, "other", end);
    assert!(
        log.start(PARTITION) > Sequence(0),
        "the later, lower position was ignored"
    );
}

async fn fill(log: &dyn EventLog, expectations: Expectations) {
    let batch_bytes = 32 << 10;
    for _ in 0..expectations.released_after_bytes.div_ceil(batch_bytes) {
        let records: Vec<_> = (0..8).map(|n| record(n, batch_bytes / 8)).collect();
        log.append_durable(PARTITION, records)
            .await
            .expect("there is room");
    }
}

async fn is_pending(mut future: std::pin::Pin<&mut (impl Future<Output = ()> + ?Sized)>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}
