//! Bodies are read whole, within a byte limit, a time limit and a budget that all requests share (R18).
//! Room is taken as bytes arrive: whoever announces much and sends nothing takes nothing. Before the
//! signature is checked nobody knows whom to believe, so no peer gets more than a share, and peers from
//! which nothing has been believed lately leave half of it to the others.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cairn_platform::Clock;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::connections::Activity;

/// Least room that is taken for a body that has begun to arrive.
const STEP_BYTES: usize = 64 * 1024;
/// Bytes of an unwanted body that are read and thrown away, so that the client can read its answer.
const DRAIN_BYTES_MAX: usize = 64 << 20;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// What a header costs beyond its own bytes, as HTTP/2 counts it.
const HEADER_OVERHEAD: usize = 32;
/// So long is a peer known after a request of it was authenticated.
const KNOWN_FOR: Duration = Duration::from_mins(10);
/// Peers that are known at one time; one more takes the place of the one that was quiet longest.
const KNOWN_PEERS_MAX: usize = 10_000;

/// Bytes of heads and bodies that may be held at one time.
#[derive(Clone, Debug)]
pub(crate) struct BodyBudget {
    // Held for a few instructions, never across an await.
    taken: Arc<Mutex<Taken>>,
    clock: Arc<dyn Clock>,
    total: usize,
    /// What one known peer may hold.
    share: usize,
    /// What one stranger may hold.
    stranger_share: usize,
    /// What all strangers may hold together.
    strangers: usize,
}

#[derive(Debug, Default)]
struct Taken {
    bytes: usize,
    by_strangers: usize,
    by_peer: HashMap<IpAddr, usize>,
    /// When a request of the peer was last authenticated.
    known: HashMap<IpAddr, Duration>,
}

/// A part of the budget, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    budget: BodyBudget,
    peer: Option<IpAddr>,
    is_strangers: bool,
    bytes: usize,
}

/// A body and its part of the budget.
#[derive(Debug)]
pub(crate) struct HeldBody {
    pub(crate) bytes: Bytes,
    pub(crate) held: Vec<Room>,
}

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// Longer than the limit.
    TooLarge,
    /// All requests together hold too much, or those of one peer.
    NoRoom,
    /// It came too slowly.
    TimedOut,
    /// The client went away or broke the protocol.
    Interrupted,
}

/// Limits of one body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimits {
    pub(crate) bytes_max: usize,
    pub(crate) timeout: Duration,
    /// Whose share of the budget it takes.
    pub(crate) peer: IpAddr,
}

impl BodyBudget {
    /// A budget of `total` bytes. A peer may hold half of it, a stranger an eighth, and all strangers
    /// half, or a request of `largest` if that is more.
    pub(crate) fn new(total: usize, largest: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            taken: Arc::default(),
            clock,
            total,
            share: (total / 2).max(largest),
            stranger_share: (total / 8).max(largest),
            strangers: (total / 2).max(largest),
        }
    }

    /// A request of the peer was authenticated: it is no stranger for a while.
    pub(crate) fn believe(&self, peer: IpAddr) {
        let (peer, now) = (peer_network(peer), self.clock.monotonic());
        let mut taken = self.lock();
        if taken.known.len() >= KNOWN_PEERS_MAX && !taken.known.contains_key(&peer) {
            let quiet = taken.known.iter().min_by_key(|(_, last)| **last);
            if let Some(quiet) = quiet.map(|(peer, _)| *peer) {
                taken.known.remove(&quiet);
            }
        }
        taken.known.insert(peer, now);
    }

    /// Takes room for `bytes`, or refuses at once: waiting would only move the queue elsewhere.
    pub(crate) fn take(&self, bytes: usize) -> Result<Room, BodyError> {
        let mut room = self.nothing(None);
        room.grow(bytes)?;
        Ok(room)
    }

    /// Takes room for a request's head, before it is copied.
    pub(crate) fn take_head(&self, peer: IpAddr, head: &Parts) -> Result<Room, BodyError> {
        let headers = head.headers.iter();
        let bytes = headers
            .map(|(name, value)| name.as_str().len() + value.as_bytes().len() + HEADER_OVERHEAD);
        let uri = head.uri.path().len() + head.uri.query().map_or(0, str::len);
        let mut room = self.nothing(Some(peer));
        room.grow(bytes.sum::<usize>() + uri)?;
        Ok(room)
    }

    /// Bytes held now.
    pub(crate) fn held_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Reads `body` to its end.
    pub(crate) async fn read(
        &self,
        body: UnreadBody,
        limits: BodyLimits,
        clock: &dyn Clock,
    ) -> Result<HeldBody, BodyError> {
        tokio::select! {
            read = self.collect(body.body, limits) => read,
            () = clock.sleep(limits.timeout) => Err(BodyError::TimedOut),
        }
    }

    async fn collect(&self, mut body: Incoming, limits: BodyLimits) -> Result<HeldBody, BodyError> {
        let declared = declared_bytes(&body);
        if declared.is_some_and(|length| length > limits.bytes_max) {
            return Err(BodyError::TooLarge);
        }
        let mut room = self.nothing(Some(limits.peer));
        // What cannot fit now is refused before it is sent.
        room.check(declared.unwrap_or(0))?;
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| BodyError::Interrupted)?;
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            let needed = bytes.len() + chunk.len();
            if needed > limits.bytes_max {
                return Err(BodyError::TooLarge);
            }
            if needed > room.bytes {
                let doubled = (2 * room.bytes).max(STEP_BYTES);
                let step = doubled
                    .min(declared.unwrap_or(limits.bytes_max))
                    .max(needed);
                room.grow(step - room.bytes)?;
                bytes.reserve(step - bytes.len());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(HeldBody {
            bytes: bytes.freeze(),
            held: vec![room],
        })
    }

    fn nothing(&self, peer: Option<IpAddr>) -> Room {
        let peer = peer.map(peer_network);
        Room {
            budget: self.clone(),
            peer,
            is_strangers: peer.is_some_and(|peer| !self.is_known(peer)),
            bytes: 0,
        }
    }

    fn is_known(&self, peer: IpAddr) -> bool {
        let now = self.clock.monotonic();
        let last = self.lock().known.get(&peer).copied();
        last.is_some_and(|last| now.saturating_sub(last) < KNOWN_FOR)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().expect("no holder of this lock panics")
    }
}

impl Room {
    /// Whether there is room for `bytes` more.
    fn check(&self, bytes: usize) -> Result<(), BodyError> {
        self.check_in(&self.budget.lock(), bytes)
    }

    fn check_in(&self, taken: &Taken, bytes: usize) -> Result<(), BodyError> {
        let budget = &self.budget;
        let share = if self.is_strangers {
            budget.stranger_share
        } else {
            budget.share
        };
        let of_peer = self.peer.and_then(|peer| taken.by_peer.get(&peer));
        let fits = bytes <= budget.total - taken.bytes
            && (self.peer.is_none() || bytes <= share.saturating_sub(*of_peer.unwrap_or(&0)))
            && (!self.is_strangers || bytes <= budget.strangers.saturating_sub(taken.by_strangers));
        if fits { Ok(()) } else { Err(BodyError::NoRoom) }
    }

    fn grow(&mut self, bytes: usize) -> Result<(), BodyError> {
        let mut taken = self.budget.lock();
        self.check_in(&taken, bytes)?;
        taken.bytes += bytes;
        if self.is_strangers {
            taken.by_strangers += bytes;
        }
        if let Some(peer) = self.peer {
            *taken.by_peer.entry(peer).or_default() += bytes;
        }
        drop(taken);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut taken = self.budget.lock();
        taken.bytes -= self.bytes;
        if self.is_strangers {
            taken.by_strangers -= self.bytes;
        }
        if let Some(peer) = self.peer
            && let Some(of_peer) = taken.by_peer.get_mut(&peer)
        {
            *of_peer -= self.bytes;
            if *of_peer == 0 {
                taken.by_peer.remove(&peer);
            }
        }
    }
}

/// A host of IPv6 has 64 bits of addresses to itself.
fn peer_network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

fn declared_bytes(body: &Incoming) -> Option<usize> {
    let declared = body.size_hint().exact();
    declared.map(|length| usize::try_from(length).unwrap_or(usize::MAX))
}

/// The body of a request of which nothing is known yet but its head.
pub(crate) struct UnreadBody {
    body: Incoming,
    is_http1: bool,
    activity: Activity,
}

impl fmt::Debug for UnreadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnreadBody")
            .field("declared", &self.declared_bytes())
            .finish_non_exhaustive()
    }
}

impl UnreadBody {
    pub(crate) fn new(head: &mut Parts, body: Incoming) -> Self {
        Self {
            body,
            is_http1: head.version < http::Version::HTTP_2,
            activity: head.extensions.remove().unwrap_or_default(),
        }
    }

    /// The length that the client announced.
    pub(crate) fn declared_bytes(&self) -> Option<usize> {
        declared_bytes(&self.body)
    }

    pub(super) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    /// Throws the body away. Over HTTP/1.1 it is read for a while, because a client that is still sending
    /// reads no answer; whoever sends it must give its connection up when others want one. Over HTTP/2 the
    /// stream is reset after the answer.
    pub(crate) async fn discard(mut self, clock: &dyn Clock) {
        if !self.is_http1 {
            return;
        }
        self.activity.over();
        let drained = async {
            let mut left = DRAIN_BYTES_MAX;
            while let Some(Ok(frame)) = self.body.frame().await {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                if left == 0 {
                    break;
                }
            }
        };
        tokio::select! {
            () = drained => {}
            () = clock.sleep(DRAIN_TIMEOUT) => {}
        }
    }
}

#[cfg(test)]
mod tests;
