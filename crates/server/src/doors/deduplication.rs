//! Recognises an event that comes a second time: a producer's retry after a lost answer, or an outbox
//! entry that was drained before a crash (R9, R11). The same content is acknowledged once more and
//! stored once; other content under the same ID is refused.
//!
//! A key is account, Region and event ID. Keys are remembered for a window of time or a number of keys,
//! whichever is less, the oldest forgotten first. After a restart the keys come from the log itself,
//! which is why the log keeps what this reader has not let go.

mod recent_keys;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use cairn_model::Sequence;
use cairn_platform::{Clock, Entropy};
use tokio::sync::watch;

use crate::config::DeduplicationConfig;
use recent_keys::RecentKeys;

/// The log reader that keeps what this remembers.
pub(crate) const READER: &str = "deduplication";

/// Offset of stored times, so that keys from before the start have a time too.
const EPOCH_S: u64 = 1 << 30;

/// 128 bits that stand for account, Region and event ID. Keyed by a salt of this process, so that
/// nobody can choose event IDs that fall into one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventKey([u8; 16]);

/// What an event is known by: its key and 64 bits of its content's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    key: EventKey,
    content: [u8; 8],
}

/// Makes identities. Cheap to copy, so that parsing threads can carry it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identifier {
    salt: [u8; 16],
}

/// What to do with one event of a batch.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// Nobody has sent it: append it.
    Fresh,
    /// It is in the log, or comes earlier in the same batch.
    Duplicate,
    /// Another content is in the log, or comes earlier in the same batch, under this ID.
    Conflict,
    /// Another batch is appending this ID: ask again once the receiver says so.
    Wait(watch::Receiver<bool>),
}

/// The batch whose fresh events are being appended. Callers must settle it, whatever happens.
#[derive(Debug)]
pub(crate) struct Reservation {
    keys: Vec<Identity>,
    settled: watch::Sender<bool>,
}

/// The memory of recent event IDs.
#[derive(Debug)]
pub(crate) struct Deduplication {
    config: DeduplicationConfig,
    clock: Arc<dyn Clock>,
    identifier: Identifier,
    // Held for the map operations of one batch, never across an await.
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    recent: RecentKeys,
    in_flight: Map<InFlight>,
}

#[derive(Debug)]
struct InFlight {
    content: [u8; 8],
    settled: watch::Receiver<bool>,
}

type Map<V> = HashMap<EventKey, V, BuildHasherDefault<TakeKey>>;

impl EventKey {
    fn hash(&self) -> u64 {
        first_eight(&self.0).map_or(0, u64::from_le_bytes)
    }

    /// One of 256 parts of all keys, by a byte that `hash` does not use.
    fn shard(&self) -> usize {
        usize::from(self.0[15])
    }
}

impl std::hash::Hash for EventKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

/// Keys are salted hashes already: hashing them again would only cost time.
#[derive(Debug, Default)]
struct TakeKey(u64);

impl Hasher for TakeKey {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = first_eight(bytes).map_or(0, u64::from_le_bytes);
    }
}

impl Identifier {
    /// The identity of an event by its header fields and canonical JSON.
    pub(crate) fn identify(
        &self,
        account: &str,
        region: &str,
        event_id: &str,
        json: &[u8],
    ) -> Identity {
        let mut key = Context::new(&SHA256);
        key.update(&self.salt);
        key.update(account.as_bytes());
        key.update(region.as_bytes());
        key.update(&[0]);
        key.update(event_id.as_bytes());
        let mut content = Context::new(&SHA256);
        content.update(&self.salt);
        content.update(json);
        let (key, content) = (key.finish(), content.finish());
        let mut identity = Identity {
            key: EventKey([0; 16]),
            content: [0; 8],
        };
        identity.key.0.copy_from_slice(&key.as_ref()[..16]);
        identity.content.copy_from_slice(&content.as_ref()[..8]);
        identity
    }
}

impl Deduplication {
    pub(crate) fn new(
        config: DeduplicationConfig,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Self {
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        let identifier = Identifier { salt };
        Self {
            config,
            clock,
            identifier,
            memory: Mutex::default(),
        }
    }

    pub(crate) fn identifier(&self) -> Identifier {
        self.identifier
    }

    /// Judges a batch and reserves its fresh events: until the reservation is settled, every other
    /// batch with one of these IDs waits.
    pub(crate) fn admit(&self, batch: &[Identity]) -> (Vec<Verdict>, Reservation) {
        let (settled, receiver) = watch::channel(false);
        let mut keys = Vec::with_capacity(batch.len());
        let now_s = self.now_s();
        let mut memory = self.lock();
        let verdicts = batch
            .iter()
            .map(|identity| {
                let verdict = memory.judge(identity, &receiver, now_s, self.config.window);
                if matches!(verdict, Verdict::Fresh) {
                    let (content, settled) = (identity.content, receiver.clone());
                    memory
                        .in_flight
                        .insert(identity.key, InFlight { content, settled });
                    keys.push(*identity);
                }
                verdict
            })
            .collect();
        drop(memory);
        (verdicts, Reservation { keys, settled })
    }

    /// Ends a reservation: with the range that the log gave the events, or `None` if it took none.
    /// Returns the position before which the log may forget, if that moved.
    pub(crate) fn settle(
        &self,
        reservation: Reservation,
        appended: Option<Range<Sequence>>,
    ) -> Option<Sequence> {
        let Reservation { keys, settled } = reservation;
        let now_s = self.now_s();
        let mut memory = self.lock();
        for identity in &keys {
            memory.in_flight.remove(&identity.key);
        }
        let released = appended
            .and_then(|range| memory.remember(&keys, range.start, now_s, now_s, &self.config));
        drop(memory);
        // Nobody waiting is no failure.
        let _ = settled.send(true);
        released
    }

    /// Takes over a record that was in the log at the start, `age` before the newest one.
    pub(crate) fn restore(&self, identity: &Identity, sequence: Sequence, age: Duration) {
        if age > self.config.window {
            return;
        }
        let now_s = self.now_s();
        let time_s = now_s.saturating_sub(age.as_secs());
        let identity = std::slice::from_ref(identity);
        self.lock()
            .remember(identity, sequence, time_s, now_s, &self.config);
    }

    /// Keys held now.
    pub(crate) fn keys(&self) -> usize {
        self.lock().recent.len()
    }

    /// The most records that are worth reading at the start.
    pub(crate) fn keys_max(&self) -> u64 {
        u64::try_from(self.config.keys_max).unwrap_or(u64::MAX)
    }

    fn now_s(&self) -> u64 {
        EPOCH_S + self.clock.monotonic().as_secs()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().expect("no holder of this lock panics")
    }
}

impl Memory {
    fn judge(
        &self,
        identity: &Identity,
        own: &watch::Receiver<bool>,
        now_s: u64,
        window: Duration,
    ) -> Verdict {
        let same = |content: &[u8; 8]| {
            if *content == identity.content {
                Verdict::Duplicate
            } else {
                Verdict::Conflict
            }
        };
        if let Some(in_flight) = self.in_flight.get(&identity.key) {
            if in_flight.settled.same_channel(own) {
                return same(&in_flight.content);
            }
            return Verdict::Wait(in_flight.settled.clone());
        }
        let remembered = self.recent.get(&identity.key);
        match remembered {
            Some(known) if now_s.saturating_sub(known.time_s()) <= window.as_secs() => {
                same(&known.content)
            }
            _ => Verdict::Fresh,
        }
    }

    /// Adds identities whose records begin at `start` in the log, and forgets what is too much.
    fn remember(
        &mut self,
        identities: &[Identity],
        start: Sequence,
        time_s: u64,
        now_s: u64,
        config: &DeduplicationConfig,
    ) -> Option<Sequence> {
        let (keys_max, window) = (config.keys_max, config.window);
        self.recent.extend(identities, start, time_s, window);
        self.recent.trim(keys_max, window, now_s)
    }
}

fn first_eight(bytes: &[u8]) -> Option<[u8; 8]> {
    bytes.get(..8).and_then(|slice| slice.try_into().ok())
}

#[cfg(test)]
mod tests;
