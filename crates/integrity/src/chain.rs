//! The walk along a chain of digests, newest first, as the AWS CLI walks it (REC-281, REC-282).
//!
//! The walk does no I/O. Callers ask for the next [`Step`], do what it says, hand the result in, and ask
//! again; so one walk serves a bucket, a folder and a test alike.

use std::collections::{HashSet, VecDeque};

use cairn_model::EventTime;

use crate::check::{DigestFault, DigestPlace, FetchedDigest, PublicKeys, SignedDigest};
use crate::digest::Digest;
use crate::object_key::{DigestKind, ListedDigest, digest_key_time};
use crate::time_text;

/// Which digests are walked along.
#[derive(Clone, Debug)]
pub struct WalkRange {
    /// Log files delivered from here on.
    pub start: EventTime,
    /// Log files delivered up to here.
    pub end: EventTime,
    /// The chain.
    pub kind: DigestKind,
    /// The bucket to begin in.
    pub bucket: String,
    /// The trail's home Region.
    pub home_region: String,
}

/// What the walk wants, or has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// List the digests of the walk's kind in `bucket` from the walk's start to an hour after `end`;
    /// then [`ChainWalk::listed`].
    List {
        /// The bucket.
        bucket: String,
        /// The end of the range.
        end: EventTime,
    },
    /// Ask for the public keys of that time; then [`ChainWalk::take_keys`].
    Keys {
        /// The start of the span.
        from: EventTime,
        /// The end of the span.
        to: EventTime,
    },
    /// Fetch that digest; then [`ChainWalk::fetched`] or [`ChainWalk::not_found`].
    Fetch {
        /// Its bucket.
        bucket: String,
        /// Its key.
        key: String,
    },
    /// Something to tell, in the order of telling.
    Found(Finding),
    /// There are no public keys of the walk's time, so nothing can be verified.
    NoKeys {
        /// The start of the span.
        from: EventTime,
        /// The end of the span.
        to: EventTime,
    },
    /// The walk is over.
    End,
}

/// What is told of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A digest is as it was signed. Its log files are to be checked now.
    Valid(Box<Digest>),
    /// A digest is not.
    Invalid {
        /// Where it lies, or should lie.
        bucket: String,
        /// Its key.
        key: String,
        /// Why.
        fault: DigestFault,
    },
    /// Nobody has the signature of a digest, so that it can be neither valid nor invalid.
    Unchecked {
        /// Where it lies.
        bucket: String,
        /// Its key.
        key: String,
    },
    /// A starting digest has others before it: nothing was delivered in between.
    Gap {
        /// The end of the digest before.
        from: EventTime,
        /// The start of the starting digest.
        to: EventTime,
    },
}

/// A walk under way.
#[derive(Debug)]
pub struct ChainWalk {
    range: WalkRange,
    bucket: String,
    /// Digests of the listing that have not been looked at, oldest first.
    digests: Vec<ListedDigest>,
    keys: PublicKeys,
    state: State,
    /// The start of the last valid digest: the walk ends before the range's start.
    last_start: EventTime,
    findings: VecDeque<Finding>,
    /// Buckets and keys that links have led to: a chain that its signer bent into a ring ends.
    linked: HashSet<(String, String)>,
}

#[derive(Debug)]
enum State {
    /// Before the first listing.
    Start,
    /// The listing is in; the keys of the range are not.
    Listed,
    /// At a digest.
    At(String),
    /// At a backfill digest whose key is not among those at hand.
    KeysWanted(String, Box<SignedDigest>, (EventTime, EventTime)),
    /// In another bucket, whose listing is wanted, before going on at the digest.
    Elsewhere(String, EventTime),
    Ended,
    NoKeys(EventTime, EventTime),
}

impl ChainWalk {
    /// A walk before its first step.
    pub fn new(range: WalkRange) -> Self {
        Self {
            bucket: range.bucket.clone(),
            last_start: range.end,
            range,
            digests: Vec::new(),
            keys: PublicKeys::new(),
            state: State::Start,
            findings: VecDeque::new(),
            linked: HashSet::new(),
        }
    }

    /// What comes next. Asked again without an answer in between, it says the same; only findings are
    /// said once.
    pub fn step(&mut self) -> Step {
        if let Some(finding) = self.findings.pop_front() {
            return Step::Found(finding);
        }
        let list = |end| Step::List {
            bucket: self.bucket.clone(),
            end,
        };
        match &self.state {
            State::Start => list(self.range.end),
            State::Elsewhere(_, end) => list(*end),
            State::Listed => Step::Keys {
                from: self.range.start,
                to: self.keys_until(),
            },
            State::KeysWanted(_, _, (from, to)) => Step::Keys {
                from: *from,
                to: *to,
            },
            State::At(key) if self.range.start <= self.last_start => Step::Fetch {
                bucket: self.bucket.clone(),
                key: key.clone(),
            },
            State::At(_) | State::Ended => Step::End,
            State::NoKeys(from, to) => Step::NoKeys {
                from: *from,
                to: *to,
            },
        }
    }

    /// The digests of the listing that was asked for, oldest first.
    pub fn listed(&mut self, digests: Vec<ListedDigest>) {
        self.digests = digests;
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Start if self.range.kind == DigestKind::Standard => self.state = State::Listed,
            State::Start => self.begin(),
            State::Elsewhere(key, _) => self.state = State::At(key),
            other => self.state = other,
        }
    }

    /// The public keys that were asked for.
    pub fn take_keys(&mut self, keys: PublicKeys) {
        let is_empty = keys.is_empty();
        self.keys.extend(keys);
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Listed if is_empty => {
                self.state = State::NoKeys(self.range.start, self.keys_until());
            }
            State::Listed => self.begin(),
            State::KeysWanted(key, _, (from, to)) if is_empty => {
                self.tell_invalid(key, DigestFault::NoKeys { from, to });
            }
            State::KeysWanted(key, digest, _) => self.conclude(key, &digest),
            other => self.state = other,
        }
    }

    /// The digest that was asked for.
    pub fn fetched(&mut self, fetched: FetchedDigest) {
        let State::At(key) = std::mem::replace(&mut self.state, State::Ended) else {
            return;
        };
        let opened = SignedDigest::open(fetched, self.place(&key));
        let digest = match opened {
            Ok(digest) => digest,
            Err(fault) => return self.tell_invalid(key, fault),
        };
        if self.range.kind == DigestKind::Backfill && !self.keys.contains_key(&digest.fingerprint) {
            match digest.backfill_span() {
                Ok(span) => self.state = State::KeysWanted(key, Box::new(digest), span),
                Err(fault) => self.tell_invalid(key, fault),
            }
        } else {
            self.conclude(key, &digest);
        }
    }

    /// The digest that was asked for is not there.
    pub fn not_found(&mut self) {
        if let State::At(key) = std::mem::replace(&mut self.state, State::Ended) {
            self.tell_invalid(key, DigestFault::NotFound);
        }
    }

    /// The digest that was asked for is there, but its signature is not at hand (REC-294).
    pub fn unchecked(&mut self) {
        if let State::At(key) = std::mem::replace(&mut self.state, State::Ended) {
            let next = self.next_listed_before(&key);
            let bucket = self.bucket.clone();
            self.findings.push_back(Finding::Unchecked { bucket, key });
            if let Some(next) = next {
                self.state = State::At(next.key);
            }
        }
    }

    fn keys_until(&self) -> EventTime {
        time_text::shifted(self.range.end, 7_200)
    }

    fn place<'a>(&'a self, key: &'a str) -> DigestPlace<'a> {
        DigestPlace {
            bucket: &self.bucket,
            key,
            home_region: &self.range.home_region,
        }
    }

    fn begin(&mut self) {
        if let Some(newest) = self.digests.pop() {
            self.last_start = newest.end;
            self.state = State::At(newest.key);
        }
    }

    /// Checks the signature and goes on: to the digest before, or to the next one listed.
    fn conclude(&mut self, key: String, digest: &SignedDigest) {
        let digest = match digest.verify(self.place(&key), &self.keys) {
            Ok(digest) => digest,
            Err(fault) => return self.tell_invalid(key, fault),
        };
        self.last_start = digest.start;
        let (start, end) = (digest.start, digest.end);
        let previous = digest.previous.clone();
        self.findings.push_back(Finding::Valid(Box::new(digest)));
        match previous {
            None => {
                if let Some(next) = self.next_listed_before(&key) {
                    let (from, to) = (next.end, start);
                    self.findings.push_back(Finding::Gap { from, to });
                    self.state = State::At(next.key);
                }
            }
            Some(previous)
                if !self
                    .linked
                    .insert((previous.bucket.clone(), previous.object.clone())) =>
            {
                let next = self.next_listed_before(&key);
                self.state = next.map_or(State::Ended, |next| State::At(next.key));
            }
            Some(previous) if previous.bucket == self.bucket => {
                self.state = State::At(previous.object);
            }
            Some(previous) => {
                self.bucket = previous.bucket;
                self.state = State::Elsewhere(previous.object, end);
            }
        }
    }

    /// Past a digest that says nothing of the one before, the listing leads on (REC-282).
    fn tell_invalid(&mut self, key: String, fault: DigestFault) {
        let next = self.next_listed_before(&key);
        self.findings.push_back(Finding::Invalid {
            bucket: self.bucket.clone(),
            key,
            fault,
        });
        if let Some(next) = next {
            self.state = State::At(next.key);
        }
    }

    fn next_listed_before(&mut self, key: &str) -> Option<ListedDigest> {
        let before = digest_key_time(key);
        while let Some(next) = self.digests.pop() {
            if before.is_none_or(|before| next.end < before) {
                return Some(next);
            }
        }
        None
    }
}
