//! Buckets in memory for tests, which fail when a test says so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;

use super::{NewObject, ObjectPuts, PutOutcome, S3Failure, S3Purpose, StoredBytes};

/// Buckets in memory. Each put takes the next entry of the script of its bucket; without one it succeeds.
#[derive(Debug, Default)]
pub struct MemoryPuts {
    state: Mutex<State>,
}

/// What happens to one put.
#[derive(Clone, Debug)]
pub enum ScriptedPut {
    /// It succeeds.
    Succeed,
    /// It fails and stores nothing.
    Fail(S3Failure),
    /// It stores the object, and its answer is lost: the caller sees this failure.
    StoreThenFail(S3Failure),
}

/// A stored object with the request that made it.
#[derive(Clone, Debug)]
pub struct MemoryObject {
    /// Its bytes.
    pub bytes: Bytes,
    /// The request.
    pub request: NewObject,
    /// On whose behalf.
    pub purpose: S3Purpose,
}

#[derive(Debug, Default)]
struct State {
    buckets: BTreeSet<String>,
    objects: BTreeMap<(String, String), MemoryObject>,
    scripts: BTreeMap<String, VecDeque<ScriptedPut>>,
    /// Whether those who put may read.
    is_readable: bool,
    attempts: u64,
    conflicts: Vec<(String, String)>,
}

impl MemoryPuts {
    /// With these buckets, empty.
    pub fn new(buckets: &[&str]) -> Self {
        let puts = Self::default();
        for bucket in buckets {
            puts.create_bucket(bucket);
        }
        puts
    }

    /// Adds a bucket.
    pub fn create_bucket(&self, bucket: &str) {
        self.locked().buckets.insert(bucket.to_owned());
    }

    /// Takes a bucket away with all that is in it.
    pub fn delete_bucket(&self, bucket: &str) {
        let mut state = self.locked();
        state.buckets.remove(bucket);
        state.objects.retain(|(of, _), _| of != bucket);
    }

    /// Takes an object away.
    pub fn remove_object(&self, bucket: &str, key: &str) {
        let mut state = self.locked();
        state.objects.remove(&(bucket.to_owned(), key.to_owned()));
    }

    /// What happens to the next puts into `bucket`, one entry each.
    pub fn script(&self, bucket: &str, puts: impl IntoIterator<Item = ScriptedPut>) {
        let mut state = self.locked();
        let script = state.scripts.entry(bucket.to_owned()).or_default();
        script.extend(puts);
    }

    /// Lets those who put read as well.
    pub fn allow_reading(&self) {
        self.locked().is_readable = true;
    }

    /// All objects by bucket and key.
    pub fn objects(&self) -> BTreeMap<(String, String), MemoryObject> {
        self.locked().objects.clone()
    }

    /// Puts that were tried, failed ones included.
    pub fn attempts(&self) -> u64 {
        self.locked().attempts
    }

    /// Bucket and key of each put that found other bytes under its key.
    pub fn conflicts(&self) -> Vec<(String, String)> {
        self.locked().conflicts.clone()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        // Held for one look or one change and never across an await.
        self.state.lock().expect("no holder of this lock panics")
    }
}

impl State {
    fn store(
        &mut self,
        object: &NewObject,
        bytes: Bytes,
        purpose: &S3Purpose,
    ) -> Result<PutOutcome, S3Failure> {
        if !self.buckets.contains(&object.bucket) {
            return Err(S3Failure {
                http_status: Some(404),
                ..S3Failure::new("NoSuchBucket", "The specified bucket does not exist")
            });
        }
        let place = (object.bucket.clone(), object.key.clone());
        if let Some(stored) = self.objects.get(&place) {
            if stored.bytes != bytes {
                self.conflicts.push(place.clone());
            }
            if object.if_none_match {
                return Ok(PutOutcome::AlreadyThere);
            }
        }
        let stored = MemoryObject {
            bytes,
            request: object.clone(),
            purpose: purpose.clone(),
        };
        self.objects.insert(place, stored);
        Ok(PutOutcome::Created)
    }
}

#[async_trait]
impl ObjectPuts for MemoryPuts {
    async fn put_new(
        &self,
        object: &NewObject,
        purpose: &S3Purpose,
    ) -> Result<PutOutcome, S3Failure> {
        let bytes = object.read_body().await?;
        let mut state = self.locked();
        state.attempts += 1;
        let script = state.scripts.get_mut(&object.bucket);
        match script.and_then(VecDeque::pop_front) {
            None | Some(ScriptedPut::Succeed) => state.store(object, bytes, purpose),
            Some(ScriptedPut::Fail(failure)) => Err(failure),
            Some(ScriptedPut::StoreThenFail(failure)) => {
                state.store(object, bytes, purpose)?;
                Err(failure)
            }
        }
    }

    async fn compare(&self, object: &NewObject, _: &S3Purpose) -> StoredBytes {
        let state = self.locked();
        let place = (object.bucket.clone(), object.key.clone());
        let Some(stored) = state.objects.get(&place).filter(|_| state.is_readable) else {
            return StoredBytes::Unreadable;
        };
        if stored.request.sha256 == object.sha256 {
            StoredBytes::Same
        } else {
            StoredBytes::Other
        }
    }
}
