//! The way to the buckets, which tests close, or hold every put at until they let it through.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use cairn_platform::{
    MemoryPuts, NewObject, ObjectPuts, PutOutcome, S3Failure, S3Purpose, StoredBytes,
};
use tokio::sync::{Notify, oneshot};

/// In front of buckets in memory.
#[derive(Debug)]
pub(crate) struct Door {
    buckets: Arc<MemoryPuts>,
    state: Mutex<State>,
    /// Told when a put comes to the door.
    came: Notify,
}

#[derive(Debug, Default)]
struct State {
    closed: BTreeMap<String, S3Failure>,
    holds: bool,
    held: Vec<(Waiting, oneshot::Sender<()>)>,
    /// Puts by bucket and key, in the order in which they came.
    came: Vec<Waiting>,
}

/// A put at the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) bytes: usize,
}

impl Door {
    pub(crate) fn before(buckets: &Arc<MemoryPuts>) -> Arc<Self> {
        Arc::new(Self {
            buckets: Arc::clone(buckets),
            state: Mutex::default(),
            came: Notify::new(),
        })
    }

    /// Every put into the bucket fails like this from here on.
    pub(crate) fn close(&self, bucket: &str, failure: S3Failure) {
        self.locked().closed.insert(bucket.to_owned(), failure);
    }

    pub(crate) fn open(&self, bucket: &str) {
        self.locked().closed.remove(bucket);
    }

    /// Every put waits at the door from here on.
    pub(crate) fn hold(&self) {
        self.locked().holds = true;
    }

    /// The puts that wait, once there are `count` of them.
    pub(crate) async fn held(&self, count: usize) -> Vec<Waiting> {
        loop {
            let came = self.came.notified();
            {
                let state = self.locked();
                if state.held.len() >= count {
                    return state.held.iter().map(|(put, _)| put.clone()).collect();
                }
            }
            came.await;
        }
    }

    /// Lets the put of that key through.
    pub(crate) fn release(&self, key: &str) {
        let mut state = self.locked();
        let at = state.held.iter().position(|(put, _)| put.key == key);
        let (_, release) = state.held.remove(at.expect("it waits"));
        release.send(()).expect("the put waits");
    }

    /// Every put that came to the door.
    pub(crate) fn came(&self) -> Vec<Waiting> {
        self.locked().came.clone()
    }

    /// Distinct keys that came to the door of a bucket.
    pub(crate) fn keys(&self, bucket: &str) -> BTreeSet<String> {
        let came = self.came();
        let of_bucket = came.into_iter().filter(|put| put.bucket == bucket);
        of_bucket.map(|put| put.key).collect()
    }

    // Held for one look or one change, never across an await.
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    fn arrive(&self, object: &NewObject, bytes: usize) -> Option<oneshot::Receiver<()>> {
        let put = Waiting {
            bucket: object.bucket.clone(),
            key: object.key.clone(),
            bytes,
        };
        let mut state = self.locked();
        state.came.push(put.clone());
        if !state.holds {
            return None;
        }
        let (release, released) = oneshot::channel();
        state.held.push((put, release));
        drop(state);
        self.came.notify_waiters();
        Some(released)
    }
}

#[async_trait]
impl ObjectPuts for Door {
    async fn put_new(
        &self,
        object: &NewObject,
        purpose: &S3Purpose,
    ) -> Result<PutOutcome, S3Failure> {
        let cairn_platform::ObjectBody::Bytes(body) = &object.body else {
            panic!("spooled files are put from memory")
        };
        if let Some(released) = self.arrive(object, body.len()) {
            released.await.expect("the test lets it through");
        }
        let closed = self.locked().closed.get(&object.bucket).cloned();
        match closed {
            Some(failure) => Err(failure),
            None => self.buckets.put_new(object, purpose).await,
        }
    }

    async fn compare(&self, object: &NewObject, purpose: &S3Purpose) -> StoredBytes {
        self.buckets.compare(object, purpose).await
    }
}
