//! Planted bugs, for proving that the tests catch them. Without the feature `sabotage` no bug can be
//! planted, and the questions below are constants.

/// A bug to plant.
#[cfg(feature = "sabotage")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Acknowledge a batch before it is synced (breaks R1).
    AckBeforeSync,
    /// Leave out the sync of the directory (breaks R1).
    NoDirectorySync,
    /// Sync again after a failed sync and believe the second answer (breaks R2).
    RetryFsync,
    /// Trust stored bytes without their checksum (breaks R4).
    CrcUnchecked,
    /// Continue a segment of an earlier process instead of copying it (breaks R2).
    TrustPageCache,
    /// Forget the acknowledged watermark: take every damaged end for a torn one (breaks R4).
    IgnoreWatermark,
    /// Release segments that a reader still needs (breaks R5).
    ReleaseEarly,
}

/// The bug planted in a log, if any.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Planted {
    #[cfg(feature = "sabotage")]
    bug: Option<Sabotage>,
}

#[cfg(feature = "sabotage")]
impl Planted {
    pub(crate) fn with(bug: Sabotage) -> Self {
        Self { bug: Some(bug) }
    }

    pub(crate) fn ack_before_sync(self) -> bool {
        self.bug == Some(Sabotage::AckBeforeSync)
    }

    pub(crate) fn no_directory_sync(self) -> bool {
        self.bug == Some(Sabotage::NoDirectorySync)
    }

    pub(crate) fn retry_fsync(self) -> bool {
        self.bug == Some(Sabotage::RetryFsync)
    }

    pub(crate) fn crc_unchecked(self) -> bool {
        self.bug == Some(Sabotage::CrcUnchecked)
    }

    pub(crate) fn trust_page_cache(self) -> bool {
        self.bug == Some(Sabotage::TrustPageCache)
    }

    pub(crate) fn ignore_watermark(self) -> bool {
        self.bug == Some(Sabotage::IgnoreWatermark)
    }

    pub(crate) fn release_early(self) -> bool {
        self.bug == Some(Sabotage::ReleaseEarly)
    }
}

#[cfg(not(feature = "sabotage"))]
#[expect(clippy::unused_self, reason = "the same questions as with the feature")]
impl Planted {
    pub(crate) const fn ack_before_sync(self) -> bool {
        false
    }

    pub(crate) const fn no_directory_sync(self) -> bool {
        false
    }

    pub(crate) const fn retry_fsync(self) -> bool {
        false
    }

    pub(crate) const fn crc_unchecked(self) -> bool {
        false
    }

    pub(crate) const fn trust_page_cache(self) -> bool {
        false
    }

    pub(crate) const fn ignore_watermark(self) -> bool {
        false
    }

    pub(crate) const fn release_early(self) -> bool {
        false
    }
}
