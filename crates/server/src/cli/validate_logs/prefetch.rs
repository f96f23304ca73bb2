//! Digests are fetched before the walk asks for them: a listing says which ones it will most likely want, newest
//! first. A chain that leads elsewhere is followed all the same.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::JoinHandle;

use super::source::{DigestAnswer, LogSource};

/// Fetches ahead, up to `depth` digests.
#[derive(Debug)]
pub(super) struct Prefetch {
    source: Arc<LogSource>,
    depth: usize,
    bucket: String,
    /// Keys that are not yet fetched, oldest first.
    waiting: Vec<String>,
    flying: VecDeque<(String, JoinHandle<anyhow::Result<DigestAnswer>>)>,
}

impl Prefetch {
    pub(super) fn new(source: Arc<LogSource>, depth: usize) -> Self {
        Self {
            source,
            depth,
            bucket: String::new(),
            waiting: Vec::new(),
            flying: VecDeque::new(),
        }
    }

    /// Begins anew with the digests of a listing, oldest first.
    pub(super) fn restart(&mut self, bucket: &str, keys: Vec<String>) {
        self.forget(self.flying.len());
        bucket.clone_into(&mut self.bucket);
        self.waiting = keys;
    }

    pub(super) async fn take(&mut self, bucket: &str, key: &str) -> anyhow::Result<DigestAnswer> {
        self.fill();
        let at = self.flying.iter().position(|(flying, _)| flying == key);
        let at = at.filter(|_| bucket == self.bucket);
        let Some(at) = at else {
            return self.source.digest(bucket, key).await;
        };
        // What is newer was left out by the chain, and is not asked for any more.
        self.forget(at);
        let (_, answer) = self.flying.pop_front().expect("just found");
        self.fill();
        answer.await.context("fetching a digest has failed")?
    }

    fn fill(&mut self) {
        while self.flying.len() < self.depth
            && let Some(key) = self.waiting.pop()
        {
            let (source, bucket, wanted) =
                (Arc::clone(&self.source), self.bucket.clone(), key.clone());
            let fetch = tokio::spawn(async move { source.digest(&bucket, &wanted).await });
            self.flying.push_back((key, fetch));
        }
    }

    fn forget(&mut self, count: usize) {
        for (_, fetch) in self.flying.drain(..count) {
            fetch.abort();
        }
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        self.forget(self.flying.len());
    }
}
