//! Delivery's entry in the catalog with one of its promises broken: what a test that kills at each step must find
//! out. Two of the faults tear one transaction into two and stay between them, so that a kill is all that the
//! test has to add; each says in the server's log when its harm is done.

use std::sync::Arc;

use async_trait::async_trait;
use cairn_catalog::CatalogError;
use cairn_catalog::trails::{
    ChainId, CurrentTrails, Cut, Delivered, DigestChain, FailedAttempt, FileId, FileKind,
    NewDigest, NotificationMade, ReaderState, RecordedFile, SigningKey, SpoolUse, TrailsCatalog,
};
use cairn_model::{PartitionId, Region, Trail, TrailId};

type Result<T> = std::result::Result<T, CatalogError>;

/// Files with fewer events may hold the server's own alone, which no ledger knows.
const EVENTS_MIN: u64 = 20;

/// The promise that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// A cut's position is recorded without its files.
    CutWithoutFiles,
    /// A delivery is recorded before the put.
    DeliveredBeforePut,
    /// A digest's window is recorded as half of what was signed, so that the rest is signed twice.
    WindowSignedTwice,
}

impl Bug {
    /// The one of a fault's name, if it is one of these.
    pub(super) fn named(fault: &str) -> Option<Self> {
        match fault {
            "cut-without-files" => Some(Self::CutWithoutFiles),
            "delivered-before-put" => Some(Self::DeliveredBeforePut),
            "window-signed-twice" => Some(Self::WindowSignedTwice),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct LooseTrails {
    pub(super) catalog: Arc<dyn TrailsCatalog>,
    pub(super) bug: Bug,
}

#[async_trait]
impl TrailsCatalog for LooseTrails {
    async fn record_cut(&self, cut: &Cut) -> Result<()> {
        let events: u64 = cut.files.iter().map(|file| file.events).sum();
        if self.bug != Bug::CutWithoutFiles || events < EVENTS_MIN {
            return self.catalog.record_cut(cut).await;
        }
        let position_only = Cut {
            files: Vec::new(),
            ..cut.clone()
        };
        self.catalog.record_cut(&position_only).await?;
        tracing::warn!("a planted fault: a cut was recorded without its files");
        std::future::pending().await
    }

    async fn waiting_files(
        &self,
        trail: &TrailId,
        now_ms: i64,
        mended_ms: i64,
        files_max: u32,
    ) -> Result<Vec<RecordedFile>> {
        let waiting = self
            .catalog
            .waiting_files(trail, now_ms, mended_ms, files_max);
        let files = waiting.await?;
        let full = |file: &&RecordedFile| {
            file.file.kind == FileKind::Log && file.file.events >= EVENTS_MIN
        };
        let Some(file) = files.iter().find(full) else {
            return Ok(files);
        };
        if self.bug != Bug::DeliveredBeforePut {
            return Ok(files);
        }
        let delivered = Delivered {
            id: file.id,
            attempted_ms: file.file.created_ms,
            delivered_ms: file.file.created_ms,
        };
        self.catalog.record_delivered(&delivered).await?;
        tracing::warn!("a planted fault: a delivery was recorded before the put");
        std::future::pending().await
    }

    async fn record_digest(&self, digest: &NewDigest) -> Result<()> {
        if self.bug != Bug::WindowSignedTwice || digest.is_final {
            return self.catalog.record_digest(digest).await;
        }
        let signed = &digest.window_ms;
        let half = NewDigest {
            window_ms: signed.start..signed.start.midpoint(signed.end),
            ..digest.clone()
        };
        self.catalog.record_digest(&half).await?;
        tracing::warn!("a planted fault: half of a window will be signed twice");
        Ok(())
    }

    async fn reader_state(&self, partition: PartitionId) -> Result<ReaderState> {
        self.catalog.reader_state(partition).await
    }

    async fn trail_at(&self, trail: &TrailId, version: u64) -> Result<Option<Trail>> {
        self.catalog.trail_at(trail, version).await
    }

    async fn waiting_trails(&self) -> Result<Vec<(TrailId, i64)>> {
        self.catalog.waiting_trails().await
    }

    async fn record_delivered(&self, delivered: &Delivered) -> Result<NotificationMade> {
        self.catalog.record_delivered(delivered).await
    }

    async fn record_failure(&self, failed: &FailedAttempt) -> Result<()> {
        self.catalog.record_failure(failed).await
    }

    async fn record_lost(&self, id: FileId, attempted_ms: i64, error: &str) -> Result<()> {
        self.catalog.record_lost(id, attempted_ms, error).await
    }

    async fn applied_version(
        &self,
        partition: PartitionId,
        trail: &TrailId,
    ) -> Result<Option<u64>> {
        self.catalog.applied_version(partition, trail).await
    }

    async fn current_trails(&self) -> Result<CurrentTrails> {
        self.catalog.current_trails().await
    }

    async fn chains(&self) -> Result<Vec<DigestChain>> {
        self.catalog.chains().await
    }

    async fn chain(&self, chain: ChainId) -> Result<Option<DigestChain>> {
        self.catalog.chain(chain).await
    }

    async fn files_of_chain(
        &self,
        chain: ChainId,
        before_ms: i64,
        now_ms: i64,
    ) -> Result<Vec<RecordedFile>> {
        self.catalog.files_of_chain(chain, before_ms, now_ms).await
    }

    async fn waiting_in_chain(&self, chain: ChainId) -> Result<u64> {
        self.catalog.waiting_in_chain(chain).await
    }

    async fn last_digest_end(&self, chain: &DigestChain, trail_arn: &str) -> Result<Option<i64>> {
        self.catalog.last_digest_end(chain, trail_arn).await
    }

    async fn signing_key(&self, region: &Region, now_ms: i64) -> Result<Option<SigningKey>> {
        self.catalog.signing_key(region, now_ms).await
    }

    async fn put_signing_key(&self, key: &SigningKey) -> Result<()> {
        self.catalog.put_signing_key(key).await
    }

    async fn retire_signing_keys(&self, now_ms: i64) -> Result<()> {
        self.catalog.retire_signing_keys(now_ms).await
    }

    async fn spooled(&self) -> Result<Vec<String>> {
        self.catalog.spooled().await
    }

    async fn spool_use(&self) -> Result<Vec<SpoolUse>> {
        self.catalog.spool_use().await
    }
}
