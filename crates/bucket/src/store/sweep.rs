//! Files that nobody refers to: what a crash left between writing a body and committing it, or between
//! deleting an object and removing its file.

use std::sync::atomic::Ordering;

use super::{Buckets, off_thread};
use crate::error::BucketsError;

impl Buckets {
    /// Removes files that the index does not know, if they are old enough that nobody is about to commit
    /// them. Gives their number.
    pub async fn sweep(&self) -> Result<u64, BucketsError> {
        let age = i64::try_from(self.config.orphan_age_ms).unwrap_or(i64::MAX);
        let before_ms = self.clock.now_ms().saturating_sub(age);
        let bodies = self.bodies.clone();
        let old = off_thread(move || {
            let found = bodies.older_than(before_ms);
            found.map_err(BucketsError::disk("looking for old bodies"))
        });
        let mut swept = 0;
        for file in old.await? {
            let known: Option<i64> = sqlx::query_scalar("SELECT 1 FROM bodies WHERE file = ?")
                .bind(&file)
                .fetch_optional(&self.index.readers)
                .await
                .map_err(BucketsError::while_("looking for old bodies"))?;
            if known.is_none() {
                self.remove_bodies(vec![file]).await;
                swept += 1;
            }
        }
        self.counters
            .files_swept
            .fetch_add(swept, Ordering::Relaxed);
        Ok(swept)
    }
}
