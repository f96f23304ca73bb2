//! Topics, log streams and buses in memory for tests, which fail when a test says so.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;

use super::{
    BusEvent, EventBuses, LogEvent, LogStream, LogStreams, ServiceFailure, TopicMessage,
    TopicPublisher,
};
use crate::S3Failure;

/// Topics in memory. A topic that is down refuses every message.
#[derive(Debug, Default)]
pub struct MemoryTopics {
    // Held for one look or one change, never across an await; so in all of these types.
    state: Mutex<TopicsState>,
}

/// The answer to a call that is lost: what was sent is taken, and nobody knows.
#[derive(Debug, Default)]
struct LostAnswer(Option<u64>);

impl LostAnswer {
    /// Whether it is the answer to this call.
    fn is_now(&mut self) -> bool {
        let left = self.0.take();
        self.0 = left.and_then(|left| left.checked_sub(1));
        left == Some(0)
    }
}

fn lost_answer() -> ServiceFailure {
    ServiceFailure {
        is_timeout: true,
        ..ServiceFailure::new(S3Failure::TIMEOUT, "the answer is lost")
    }
}

#[derive(Debug, Default)]
struct TopicsState {
    lost: LostAnswer,
    messages: Vec<TopicMessage>,
    down: BTreeMap<String, ServiceFailure>,
    attempts: u64,
}

impl MemoryTopics {
    /// From now on the topic refuses every message with this failure.
    pub fn break_topic(&self, topic_arn: &str, failure: ServiceFailure) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.down.insert(topic_arn.to_owned(), failure);
    }

    /// From now on the topic takes messages again.
    pub fn mend_topic(&self, topic_arn: &str) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.down.remove(topic_arn);
    }

    /// After so many more calls, the answer to one is lost.
    pub fn lose_answer_after(&self, calls: u64) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.lost = LostAnswer(Some(calls));
    }

    /// All messages, in order.
    pub fn messages(&self) -> Vec<TopicMessage> {
        let state = self.state.lock().expect("no holder of this lock panics");
        state.messages.clone()
    }

    /// Messages that were tried, refused ones included.
    pub fn attempts(&self) -> u64 {
        let state = self.state.lock().expect("no holder of this lock panics");
        state.attempts
    }
}

#[async_trait]
impl TopicPublisher for MemoryTopics {
    async fn publish(&self, message: &TopicMessage) -> Result<(), ServiceFailure> {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.attempts += 1;
        if let Some(failure) = state.down.get(&message.topic_arn) {
            return Err(failure.clone());
        }
        state.messages.push(message.clone());
        if state.lost.is_now() {
            return Err(lost_answer());
        }
        Ok(())
    }
}

/// Log groups in memory, which must be made and whose streams must be made.
#[derive(Debug, Default)]
pub struct MemoryLogStreams {
    state: Mutex<LogsState>,
}

#[derive(Debug, Default)]
struct LogsState {
    lost: LostAnswer,
    groups: Vec<String>,
    streams: BTreeMap<LogStream, Vec<LogEvent>>,
    batches: Vec<Vec<LogEvent>>,
    script: VecDeque<Result<u64, ServiceFailure>>,
    attempts: u64,
}

impl MemoryLogStreams {
    /// Adds a group.
    pub fn create_group(&self, group: &str) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.groups.push(group.to_owned());
    }

    /// Takes a group away with its streams.
    pub fn delete_group(&self, group: &str) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.groups.retain(|name| name != group);
        state.streams.retain(|stream, _| stream.group != group);
    }

    /// What happens to the next batches, one entry each: so many events of its beginning are refused as too old, or
    /// nothing is taken.
    pub fn script(&self, outcomes: impl IntoIterator<Item = Result<u64, ServiceFailure>>) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.script.extend(outcomes);
    }

    /// After so many more batches that are taken, the answer to one is lost.
    pub fn lose_answer_after(&self, batches: u64) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.lost = LostAnswer(Some(batches));
    }

    /// All events by stream, in the order in which they came.
    pub fn streams(&self) -> BTreeMap<LogStream, Vec<LogEvent>> {
        let state = self.state.lock().expect("no holder of this lock panics");
        state.streams.clone()
    }

    /// All batches that were taken.
    pub fn batches(&self) -> Vec<Vec<LogEvent>> {
        let state = self.state.lock().expect("no holder of this lock panics");
        state.batches.clone()
    }

    /// Batches that were tried, refused ones included.
    pub fn attempts(&self) -> u64 {
        let state = self.state.lock().expect("no holder of this lock panics");
        state.attempts
    }
}

fn not_found() -> ServiceFailure {
    ServiceFailure::new("ResourceNotFoundException", "there is none")
}

#[async_trait]
impl LogStreams for MemoryLogStreams {
    async fn put_events(
        &self,
        stream: &LogStream,
        events: &[LogEvent],
    ) -> Result<u64, ServiceFailure> {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.attempts += 1;
        if !state.streams.contains_key(stream) {
            return Err(not_found());
        }
        let refused = state.script.pop_front().unwrap_or(Ok(0))?;
        state.batches.push(events.to_vec());
        let kept = events.iter().skip(usize::try_from(refused).unwrap_or(0));
        let kept: Vec<LogEvent> = kept.cloned().collect();
        state
            .streams
            .entry(stream.clone())
            .or_default()
            .extend(kept);
        if state.lost.is_now() {
            return Err(lost_answer());
        }
        Ok(refused)
    }

    async fn create_stream(&self, stream: &LogStream) -> Result<(), ServiceFailure> {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        if !state.groups.contains(&stream.group) {
            return Err(not_found());
        }
        state.streams.entry(stream.clone()).or_default();
        Ok(())
    }
}

/// Default buses in memory.
#[derive(Debug, Default)]
pub struct MemoryBuses {
    state: Mutex<BusesState>,
}

#[derive(Debug, Default)]
struct BusesState {
    lost: LostAnswer,
    down: BTreeMap<String, ServiceFailure>,
    /// Parts of details, with the code by which events that have them are refused.
    refused: Vec<(String, String)>,
    at_once: usize,
    most_at_once: usize,
    events: BTreeMap<String, Vec<BusEvent>>,
    batches: Vec<usize>,
    script: VecDeque<Result<Vec<usize>, ServiceFailure>>,
    only: Option<String>,
}

impl MemoryBuses {
    /// From now on there is a bus in this Region alone.
    pub fn serve_only(&self, region: &str) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.only = Some(region.to_owned());
    }

    /// What happens to the next calls, one entry each: the events at these places are refused, or all of the call is.
    pub fn script(&self, outcomes: impl IntoIterator<Item = Result<Vec<usize>, ServiceFailure>>) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.script.extend(outcomes);
    }

    /// All events by Region, in the order in which they came.
    pub fn events(&self) -> BTreeMap<String, Vec<BusEvent>> {
        let state = self.state.lock().expect("no holder of this lock panics");
        state.events.clone()
    }

    /// After so many more calls, the answer to one is lost.
    pub fn lose_answer_after(&self, calls: u64) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.lost = LostAnswer(Some(calls));
    }

    /// From now on the bus of this Region fails every call.
    pub fn break_region(&self, region: &str, failure: ServiceFailure) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.down.insert(region.to_owned(), failure);
    }

    /// From now on events whose detail holds `part` are refused with this code.
    pub fn refuse(&self, part: &str, code: &str) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.refused.push((part.to_owned(), code.to_owned()));
    }

    /// How many calls there were at once, at most.
    pub fn most_at_once(&self) -> usize {
        let state = self.state.lock().expect("no holder of this lock panics");
        state.most_at_once
    }

    /// How many events each call had.
    pub fn batches(&self) -> Vec<usize> {
        let state = self.state.lock().expect("no holder of this lock panics");
        state.batches.clone()
    }
}

#[async_trait]
impl EventBuses for MemoryBuses {
    fn serves(&self, region: &str) -> bool {
        let state = self.state.lock().expect("no holder of this lock panics");
        state.only.as_deref().is_none_or(|only| only == region)
    }

    async fn put_events(
        &self,
        region: &str,
        events: &[BusEvent],
    ) -> Result<Vec<Option<String>>, ServiceFailure> {
        {
            let mut state = self.state.lock().expect("no holder of this lock panics");
            state.at_once += 1;
            state.most_at_once = state.most_at_once.max(state.at_once);
        }
        // Other calls have their turn.
        tokio::task::yield_now().await;
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.at_once -= 1;
        state.batches.push(events.len());
        if let Some(failure) = state.down.get(region) {
            return Err(failure.clone());
        }
        let codes = state.refused.clone();
        let refused = state.script.pop_front().unwrap_or_else(|| Ok(Vec::new()))?;
        let bus = state.events.entry(region.to_owned()).or_default();
        let mut told = Vec::with_capacity(events.len());
        for (place, event) in events.iter().enumerate() {
            let code = codes.iter().find(|(part, _)| event.detail.contains(part));
            if refused.contains(&place) {
                told.push(Some("InternalFailure".to_owned()));
            } else if let Some((_, code)) = code {
                told.push(Some(code.clone()));
            } else {
                bus.push(event.clone());
                told.push(None);
            }
        }
        if state.lost.is_now() {
            return Err(lost_answer());
        }
        Ok(told)
    }
}
