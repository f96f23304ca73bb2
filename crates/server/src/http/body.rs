//! Bodies are read whole, within a byte limit, a time limit and a budget that all requests share (R18).

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cairn_platform::Clock;
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const UNIT_BYTES: usize = 1024;

/// Bytes of bodies that may be held at one time, in units of 1 KiB.
#[derive(Clone, Debug)]
pub(crate) struct BodyBudget {
    units: Arc<Semaphore>,
    total: usize,
}

/// A body and its share of the budget, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct HeldBody {
    pub(crate) bytes: Bytes,
    pub(crate) held: Vec<OwnedSemaphorePermit>,
}

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// Longer than the limit.
    TooLarge,
    /// All requests together hold too much.
    NoRoom,
    /// It came too slowly.
    TimedOut,
    /// The client went away or broke the protocol.
    Interrupted,
}

impl BodyBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        let total = (bytes / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            units: Arc::new(Semaphore::new(total)),
            total,
        }
    }

    /// Takes room for `bytes`, or refuses at once: waiting would only move the queue elsewhere.
    pub(crate) fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, BodyError> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).map_err(|_| BodyError::TooLarge)?;
        Arc::clone(&self.units)
            .try_acquire_many_owned(units)
            .map_err(|_| BodyError::NoRoom)
    }

    /// Bytes held now.
    pub(crate) fn held_bytes(&self) -> usize {
        (self.total - self.units.available_permits().min(self.total)) * UNIT_BYTES
    }

    /// Reads `body` to its end.
    pub(crate) async fn read(
        &self,
        body: Incoming,
        bytes_max: usize,
        timeout: Duration,
        clock: &dyn Clock,
    ) -> Result<HeldBody, BodyError> {
        tokio::select! {
            read = self.collect(body, bytes_max) => read,
            () = clock.sleep(timeout) => Err(BodyError::TimedOut),
        }
    }

    async fn collect(&self, mut body: Incoming, bytes_max: usize) -> Result<HeldBody, BodyError> {
        let declared = body.size_hint().exact();
        let declared = declared.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if declared.is_some_and(|length| length > bytes_max) {
            return Err(BodyError::TooLarge);
        }
        let mut held = Vec::new();
        let mut room = declared.unwrap_or(0);
        if room > 0 {
            held.push(self.take(room)?);
        }
        let mut bytes = BytesMut::with_capacity(room);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| BodyError::Interrupted)?;
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            if bytes.len() + chunk.len() > bytes_max {
                return Err(BodyError::TooLarge);
            }
            while bytes.len() + chunk.len() > room {
                let step = (64 * UNIT_BYTES).max(chunk.len());
                held.push(self.take(step)?);
                room += step;
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(HeldBody {
            bytes: bytes.freeze(),
            held,
        })
    }
}
