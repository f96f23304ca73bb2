//! A bucket in memory with a chain of digests, and the lines that a walk along it tells.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::OnceLock;

use cairn_integrity::{
    ChainWalk, Digest, DigestKind, DigestListing, FetchedDigest, Finding, KeyFolder,
    PreviousDigest, PublicKeys, SIGNATURE_ALGORITHM, SigningKeyPair, Step, WalkRange, sha256_hex,
    signing_string,
};
use cairn_model::EventTime;
use flate2::Compression;
use flate2::write::GzEncoder;

pub(crate) const BUCKET: &str = "audit-logs";
pub(crate) const ACCOUNT: &str = "111111111111";
pub(crate) const FOLDER: KeyFolder<'static> = KeyFolder {
    prefix: None,
    organization: None,
    account: ACCOUNT,
    region: "us-east-1",
};

/// The key pair of all tests: making one takes long.
pub(crate) fn key_pair() -> &'static SigningKeyPair {
    static PAIR: OnceLock<SigningKeyPair> = OnceLock::new();
    PAIR.get_or_init(|| {
        let der = include_bytes!("../fixtures/signing-key.pk8.der");
        SigningKeyPair::from_pkcs8(der).expect("the fixture is a key")
    })
}

/// `hours` after 2026-01-01T00:00:00Z.
pub(crate) fn hour(hours: i64) -> EventTime {
    EventTime::from_micros((1_767_225_600 + hours * 3_600) * 1_000_000).expect("a time")
}

pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

pub(crate) fn digest_key(end: EventTime, kind: DigestKind) -> String {
    FOLDER.digest_key("management", "us-east-1", end, kind)
}

#[derive(Debug)]
pub(crate) struct Stand {
    pub(crate) objects: BTreeMap<(String, String), FetchedDigest>,
    pub(crate) keys: PublicKeys,
    previous: Option<PreviousDigest>,
}

impl Stand {
    pub(crate) fn new() -> Self {
        let keys = [(key_pair().fingerprint(), key_pair().public_key_der())];
        Self {
            objects: BTreeMap::new(),
            keys: keys.into(),
            previous: None,
        }
    }

    /// A chain with digests that end at hours 1 to `count`.
    pub(crate) fn with_chain(count: i64) -> Self {
        let mut stand = Self::new();
        for end in 1..=count {
            stand.deliver(end);
        }
        stand
    }

    /// The digest of the hour that ends at `end`, chained to the one before.
    pub(crate) fn deliver(&mut self, end: i64) -> String {
        let previous = self.previous.take();
        self.deliver_as(BUCKET, hour(end), DigestKind::Standard, previous)
    }

    /// The next digest is a starting one.
    pub(crate) fn restart(&mut self) {
        self.previous = None;
    }

    pub(crate) fn deliver_as(
        &mut self,
        bucket: &str,
        end: EventTime,
        kind: DigestKind,
        previous: Option<PreviousDigest>,
    ) -> String {
        let object = digest_key(end, kind);
        let digest = Digest {
            account: ACCOUNT.parse().expect("twelve digits"),
            start: EventTime::from_micros(end.as_micros() - 3_600_000_000).expect("a time"),
            end,
            bucket: bucket.to_owned(),
            object: object.clone(),
            public_key_fingerprint: key_pair().fingerprint(),
            newest_event: None,
            oldest_event: None,
            previous,
            log_files: Vec::new(),
        };
        let (fetched, signature) = signed(&digest, kind);
        self.previous = Some(PreviousDigest {
            bucket: bucket.to_owned(),
            object: object.clone(),
            hash_value: sha256_hex(&digest.to_json()),
            signature,
        });
        self.objects
            .insert((bucket.to_owned(), object.clone()), fetched);
        object
    }

    pub(crate) fn object(&mut self, end: i64) -> &mut FetchedDigest {
        let key = digest_key(hour(end), DigestKind::Standard);
        let place = (BUCKET.to_owned(), key);
        self.objects.get_mut(&place).expect("delivered before")
    }

    pub(crate) fn remove(&mut self, end: i64) {
        let key = digest_key(hour(end), DigestKind::Standard);
        self.objects.remove(&(BUCKET.to_owned(), key));
    }

    /// Walks over hours `start` to `end` and tells what is found, digests by the hour of their end.
    pub(crate) fn walk(&self, start: i64, end: i64, kind: DigestKind) -> Vec<String> {
        let mut walk = ChainWalk::new(WalkRange {
            start: hour(start),
            end: hour(end),
            kind,
            bucket: BUCKET.to_owned(),
            home_region: "us-east-1".to_owned(),
        });
        let mut lines = Vec::new();
        for _ in 0..100_000 {
            match walk.step() {
                Step::List { bucket, end } => {
                    walk.listed(self.listed(&bucket, hour(start), end, kind));
                }
                Step::Keys { .. } => walk.take_keys(self.keys.clone()),
                Step::Fetch { bucket, key } => match self.objects.get(&(bucket, key)) {
                    Some(fetched) => walk.fetched(fetched.clone()),
                    None => walk.not_found(),
                },
                Step::Found(finding) => lines.push(told(&finding)),
                Step::NoKeys { from, to } => {
                    lines.push(format!("no keys from {from} to {to}"));
                    return lines;
                }
                Step::End => return lines,
            }
        }
        panic!("the walk does not end: {lines:?}");
    }

    fn listed(
        &self,
        bucket: &str,
        start: EventTime,
        end: EventTime,
        kind: DigestKind,
    ) -> Vec<cairn_integrity::ListedDigest> {
        let listing = DigestListing {
            folder: FOLDER,
            trail_name: "management",
            home_region: "us-east-1",
        };
        let keys = self.objects.keys().filter(|(place, _)| place == bucket);
        keys.filter_map(|(_, key)| listing.admit(key, start, end))
            .filter(|digest| digest.kind == kind)
            .collect()
    }
}

/// The stored object of a digest, and its signature.
pub(crate) fn signed(digest: &Digest, kind: DigestKind) -> (FetchedDigest, String) {
    let text = digest.to_json();
    let previous = digest
        .previous
        .as_ref()
        .map(|previous| previous.signature.as_str());
    let (bucket, object) = (&digest.bucket, &digest.object);
    let to_sign = signing_string(digest.end, bucket, object, &sha256_hex(&text), previous);
    let signature = key_pair().sign(&to_sign);
    let fetched = FetchedDigest {
        packed: gzip(&text),
        signature: Some(signature.clone()),
        signature_algorithm: Some(SIGNATURE_ALGORITHM.to_owned()),
        backfill_generation: (kind == DigestKind::Backfill).then(|| hour(500).to_string()),
    };
    (fetched, signature)
}

fn told(finding: &Finding) -> String {
    let hour_of = |key: &str| {
        let time = key
            .rsplit('_')
            .find(|part| part.contains('T'))
            .expect("a time");
        time[6..11].replace('T', "-")
    };
    match finding {
        Finding::Valid(digest) => format!("{} valid", hour_of(&digest.object)),
        Finding::Invalid { key, fault, .. } => format!("{} {fault}", hour_of(key)),
        Finding::Unchecked { key, .. } => format!("{} unchecked", hour_of(key)),
        Finding::Gap { from, to } => format!("gap {from} {to}"),
    }
}
