//! `POST /events`: from a body to events that are ready for the log, and from their outcomes to the
//! answer. One pass over the bytes; events stay slices of the body. Runs off the async threads.

use bytes::Bytes;
use cairn_eventlog::RECORD_BYTES_MAX;
use cairn_model::json::Document;
use cairn_model::{AccountId, Region, split_batch};
use cairn_model::{CanonicalEvent, Completion, canonicalize};
use cairn_platform::Entropy;
use serde::Serialize;

use super::gzip::{self, GzipError};
use super::{Collects, Outcome, Prepared, Preparer};

/// Code of an event whose ID belongs to another event (as PutAuditEvents names it).
const DUPLICATED_ID: &str = "DuplicatedAuditEventId";
/// Code of an event that is within its own limit, but not with its routing header.
const RECORD_TOO_LARGE: &str = "InvalidEventTooLarge";

/// Limits of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    /// Bytes, as sent and as decompressed.
    pub(crate) body_bytes: usize,
    /// Events.
    pub(crate) events: usize,
    /// Growth by decompression.
    pub(crate) gzip_ratio: usize,
    /// Event history keeps nothing from before this time.
    pub(crate) oldest_ms: i64,
}

/// Why a whole body was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BatchFault {
    /// It is not a batch; the text says why.
    Malformed(String),
    /// It is larger than a call may be.
    TooLarge(String),
}

/// One event that was not taken, as the answer lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Refusal {
    /// Its place in the batch, from 0.
    pub(crate) index: usize,
    #[serde(rename = "eventID")]
    pub(crate) event_id: Option<String>,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// Why events of an account and Region are not taken from a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forbidden {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// An account and Region that a caller tried to write for and may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
    pub(crate) why: Forbidden,
    /// How many events.
    pub(crate) count: usize,
}

/// Decides for an account and Region whether the caller may write events for it.
pub(crate) type Gate<'a> = dyn FnMut(AccountId, &Region) -> Result<(), Forbidden> + 'a;

/// A batch that has been read.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) events: Vec<Prepared>,
    places: Vec<Place>,
    refused: Vec<Refusal>,
    denied: Vec<Denied>,
}

#[derive(Debug)]
struct Place {
    index: usize,
    too_old: bool,
    event_id: String,
    account: AccountId,
    region: Region,
}

/// The answer, and what the audit needs of it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct BatchReport {
    /// Events that are durable now, those that nobody selects included.
    pub(crate) accepted: u64,
    /// Events that were durable before.
    pub(crate) duplicates: u64,
    /// Accepted events that neither a table nor a trail selects.
    pub(crate) unselected: u64,
    /// Accepted events that are older than event history goes back.
    #[serde(rename = "tooOld")]
    pub(crate) too_old: u64,
    pub(crate) refused: Vec<Refusal>,
    /// What the caller may not write for.
    #[serde(skip)]
    pub(crate) denied: Vec<Denied>,
    /// Events refused because another event has their ID.
    #[serde(skip)]
    pub(crate) conflicts: Vec<Conflict>,
    #[serde(skip)]
    pub(crate) accepted_bytes: u64,
}

/// An event whose ID belongs to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
    pub(crate) event_id: String,
}

/// What reading a batch needs besides its bytes.
pub(crate) struct BatchReader<'a> {
    pub(crate) limits: BatchLimits,
    pub(crate) preparer: Preparer,
    /// Stands for `recipientAccountId` where an event has none.
    pub(crate) account: AccountId,
    pub(crate) entropy: &'a dyn Entropy,
    pub(crate) gate: &'a mut Gate<'a>,
    pub(crate) collects: &'a Collects<'a>,
}

/// Reads a body: decompresses, splits, checks, completes and prepares. Events that cannot be taken are
/// refused one by one; the rest goes on.
pub(crate) fn read_batch(
    body: Bytes,
    is_gzip: bool,
    reader: &mut BatchReader<'_>,
) -> Result<Batch, BatchFault> {
    let body = if is_gzip {
        decompress(&body, reader.limits)?
    } else {
        body
    };
    if body.len() > reader.limits.body_bytes {
        return Err(too_large(reader.limits));
    }
    let sources = split_batch(&body, reader.limits.events)
        .map_err(|error| BatchFault::Malformed(error.to_string()))?;
    let mut batch = Batch {
        events: Vec::with_capacity(sources.len()),
        places: Vec::with_capacity(sources.len()),
        refused: Vec::new(),
        denied: Vec::new(),
    };
    let mut new_event_id = || reader.entropy.uuid();
    let mut completion = Completion {
        account: reader.account,
        new_event_id: &mut new_event_id,
    };
    let oldest_ms = reader.limits.oldest_ms;
    let mut gates = Gates::default();
    for (index, source) in sources.into_iter().enumerate() {
        let event = match canonicalize(&source, &mut completion) {
            Ok(event) => event,
            Err(error) => {
                batch.refused.push(Refusal {
                    index,
                    event_id: event_id_of(&source),
                    code: error.code(),
                    message: error.to_string(),
                });
                continue;
            }
        };
        let (account, region) = (event.header.account, event.header.region.clone());
        let event_id = event.header.event_id.clone().into_owned();
        let too_old = event.header.event_time.as_micros() / 1_000 < oldest_ms;
        let taken = gates
            .ask(reader.gate, account, &region)
            .and_then(|()| prepare(&reader.preparer, event));
        match taken {
            Ok(mut event) => {
                event.note_collection(reader.collects);
                batch.events.push(event);
                batch.places.push(Place {
                    index,
                    too_old,
                    event_id,
                    account,
                    region,
                });
            }
            Err(Forbidden { code, message }) => {
                let event_id = Some(event_id);
                batch.refused.push(Refusal {
                    index,
                    event_id,
                    code,
                    message,
                });
            }
        }
    }
    batch.denied = gates.denied();
    Ok(batch)
}

/// The verdicts on the accounts and Regions of one batch: few, so a list is faster than a map.
#[derive(Default)]
struct Gates(Vec<(AccountId, Region, Result<(), Forbidden>, usize)>);

impl Gates {
    fn ask(
        &mut self,
        gate: &mut Gate<'_>,
        account: AccountId,
        region: &Region,
    ) -> Result<(), Forbidden> {
        let known = self
            .0
            .iter_mut()
            .find(|(a, r, ..)| *a == account && r == region);
        if let Some((_, _, verdict, count)) = known {
            *count += 1;
            return verdict.clone();
        }
        let verdict = gate(account, region);
        self.0.push((account, region.clone(), verdict.clone(), 1));
        verdict
    }

    fn denied(self) -> Vec<Denied> {
        let refused = self.0.into_iter();
        refused
            .filter_map(|(account, region, verdict, count)| {
                verdict.err().map(|why| Denied {
                    account,
                    region,
                    why,
                    count,
                })
            })
            .collect()
    }
}

/// The log refuses a batch as a whole, so what it can never take is kept out one by one.
fn prepare(preparer: &Preparer, event: CanonicalEvent) -> Result<Prepared, Forbidden> {
    let prepared = preparer.prepare(event);
    let (bytes, max) = (prepared.bytes(), RECORD_BYTES_MAX);
    if usize::try_from(bytes).is_ok_and(|bytes| bytes <= max) {
        return Ok(prepared);
    }
    let message =
        format!("the event and what it is found by have {bytes} bytes; the limit is {max}");
    Err(Forbidden {
        code: RECORD_TOO_LARGE,
        message,
    })
}

impl Batch {
    /// The report on a batch without any event that can be appended, or after appending, with one
    /// outcome for each of its events.
    pub(crate) fn report(mut self, sizes: &[u64], outcomes: &[Outcome]) -> BatchReport {
        let mut report = BatchReport::default();
        for ((place, outcome), bytes) in self.places.into_iter().zip(outcomes).zip(sizes) {
            match outcome {
                Outcome::Accepted { kept, selected } => {
                    report.accepted += 1;
                    report.unselected += u64::from(!selected);
                    report.too_old += u64::from(*kept && place.too_old);
                    report.accepted_bytes += bytes;
                }
                Outcome::Duplicate => report.duplicates += 1,
                Outcome::Conflict => {
                    let Place {
                        index,
                        event_id,
                        account,
                        region,
                        ..
                    } = place;
                    self.refused.push(Refusal {
                        index,
                        event_id: Some(event_id.clone()),
                        code: DUPLICATED_ID,
                        message: "another event with this eventID was accepted before".into(),
                    });
                    report.conflicts.push(Conflict {
                        account,
                        region,
                        event_id,
                    });
                }
            }
        }
        self.refused.sort_by_key(|refusal| refusal.index);
        report.refused = self.refused;
        report.denied = self.denied;
        report
    }
}

fn decompress(body: &Bytes, limits: BatchLimits) -> Result<Bytes, BatchFault> {
    match gzip::decompress(body, limits.body_bytes, limits.gzip_ratio) {
        Ok(text) => Ok(Bytes::from(text)),
        Err(GzipError::TooLarge) => Err(too_large(limits)),
        Err(GzipError::Malformed) => Err(BatchFault::Malformed(
            "the body is not a complete gzip stream".into(),
        )),
        Err(GzipError::Ratio) => {
            let ratio = limits.gzip_ratio;
            let text = format!("the body grows to more than {ratio} times its compressed size");
            Err(BatchFault::Malformed(text))
        }
    }
}

fn too_large(limits: BatchLimits) -> BatchFault {
    let max = limits.body_bytes;
    BatchFault::TooLarge(format!("the body is larger than {max} bytes"))
}

/// The ID of an event that was refused for another reason, so that its producer can find it.
fn event_id_of(source: &Bytes) -> Option<String> {
    let document = Document::parse(source).ok()?;
    let id = document.root().get("eventID")?.as_str()?.into_owned();
    (id.len() <= 128).then_some(id)
}
