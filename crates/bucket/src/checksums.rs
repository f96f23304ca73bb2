//! Checksums of bodies: which one a request states, in a header or a trailer, and whether the body has
//! it; and those of objects that were uploaded in parts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use serde::{Deserialize, Serialize};

use crate::error::BucketsError;
use crate::payload::PayloadReport;

/// Where the names of checksums' headers begin.
const HEADER_START: &str = "x-amz-checksum-";

/// A kind of checksum that S3 knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

/// What a checksum of an object in parts was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ChecksumKind {
    /// All bytes.
    FullObject,
    /// The checksums of the parts.
    Composite,
}

/// A checksum that was verified, or computed by us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredChecksum {
    pub(crate) algorithm: Algorithm,
    pub(crate) kind: ChecksumKind,
    /// Base64; a composite one ends in `-` and the number of parts.
    pub(crate) value: String,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// Its name as the API spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header or trailer that states it.
    pub(crate) fn header(self) -> String {
        format!("{HEADER_START}{}", self.name().to_ascii_lowercase())
    }

    /// The algorithm of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    fn digest_bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The kind that an upload in parts gets if it names none.
    pub(crate) fn default_kind(self) -> ChecksumKind {
        match self {
            Self::Crc64Nvme => ChecksumKind::FullObject,
            Self::Crc32 | Self::Crc32c | Self::Sha1 | Self::Sha256 => ChecksumKind::Composite,
        }
    }

    /// The algorithm as CRCs are combined; None for hashes, which cannot be.
    fn cyclic(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    fn hasher(self) -> ChecksumHasher {
        let mut hasher = ChecksumHasher::default();
        match self {
            Self::Crc32 => hasher.crc32 = Some(Crc32::new()),
            Self::Crc32c => hasher.crc32c = Some(Crc32c::new()),
            Self::Crc64Nvme => hasher.crc64nvme = Some(Crc64Nvme::new()),
            Self::Sha1 => hasher.sha1 = Some(Sha1::new()),
            Self::Sha256 => hasher.sha256 = Some(Sha256::new()),
        }
        hasher
    }

    fn is_value(self, text: &str) -> bool {
        STANDARD
            .decode(text)
            .is_ok_and(|digest| digest.len() == self.digest_bytes())
    }
}

/// What a request states of its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    md5: Option<Vec<u8>>,
    algorithm: Option<Algorithm>,
    value: Option<String>,
    awaits_trailer: bool,
}

impl Expected {
    /// Reads the head.
    pub(crate) fn of(headers: &HeaderMap, report: &PayloadReport) -> Result<Self, BucketsError> {
        Self::read(headers, report.announced())
    }

    fn read(headers: &HeaderMap, announced: &[String]) -> Result<Self, BucketsError> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut expected = Self::default();
        if let Some(stated) = headers.get("content-md5") {
            let digest = STANDARD.decode(stated.as_bytes()).ok();
            let digest = digest.filter(|digest| digest.len() == 16);
            expected.md5 = Some(digest.ok_or(BucketsError::InvalidDigest)?);
        }
        for algorithm in Algorithm::ALL {
            if let Some(stated) = text(&algorithm.header()) {
                expected.take(algorithm, stated)?;
            }
        }
        let announced = announced
            .iter()
            .filter(|name| name.starts_with(HEADER_START));
        for name in announced {
            let mut all = Algorithm::ALL.into_iter();
            let algorithm = all.find(|algorithm| algorithm.header() == *name);
            let algorithm = algorithm.ok_or(BucketsError::InvalidChecksum)?;
            if expected.value.is_some() || expected.awaits_trailer {
                return Err(BucketsError::InvalidChecksum);
            }
            (expected.algorithm, expected.awaits_trailer) = (Some(algorithm), true);
        }
        let named = text("x-amz-sdk-checksum-algorithm").or(text("x-amz-checksum-algorithm"));
        if let Some(name) = named {
            let named = Algorithm::named(name).ok_or(BucketsError::InvalidChecksum)?;
            if *expected.algorithm.get_or_insert(named) != named {
                return Err(BucketsError::InvalidChecksum);
            }
        }
        Ok(expected)
    }

    /// Reads the trailer that was announced, once the body has ended.
    pub(crate) fn add_trailers(&mut self, report: &PayloadReport) -> Result<(), BucketsError> {
        let Some(algorithm) = self.algorithm.filter(|_| self.awaits_trailer) else {
            return Ok(());
        };
        let sent = report.trailer(&algorithm.header());
        self.take(algorithm, sent.ok_or(BucketsError::MalformedTrailer)?)
    }

    /// Nothing is stated, but this is what the body's checksum shall be.
    pub(crate) fn of_algorithm(algorithm: Option<Algorithm>) -> Self {
        Self {
            algorithm,
            ..Self::default()
        }
    }

    /// Lets a body have this checksum if the request names none.
    pub(crate) fn default_to(&mut self, algorithm: Option<Algorithm>) {
        self.algorithm = self.algorithm.or(algorithm);
    }

    /// Starts the sums of a body of which this was stated.
    pub(crate) fn sums(&self) -> Sums {
        let algorithm = self.algorithm.unwrap_or(Algorithm::Crc64Nvme);
        Sums {
            md5: Md5::new(),
            algorithm,
            hasher: algorithm.hasher(),
        }
    }

    /// Compares what was stated with what came.
    pub(crate) fn check(&self, found: &Summed) -> Result<(), BucketsError> {
        if self.md5.as_ref().is_some_and(|stated| *stated != found.md5) {
            let what = "Content-MD5";
            return Err(BucketsError::BadDigest { what });
        }
        if let Some(stated) = &self.value
            && (self.algorithm != Some(found.checksum.algorithm) || *stated != found.checksum.value)
        {
            let what = found.checksum.algorithm.name();
            return Err(BucketsError::BadDigest { what });
        }
        Ok(())
    }

    /// The same for a body that is in memory.
    pub(crate) fn check_whole(&self, bytes: &[u8]) -> Result<(), BucketsError> {
        let mut sums = self.sums();
        sums.update(bytes);
        self.check(&sums.finish())
    }

    fn take(&mut self, algorithm: Algorithm, stated: &str) -> Result<(), BucketsError> {
        if self.value.is_some() || !algorithm.is_value(stated) {
            return Err(BucketsError::InvalidChecksum);
        }
        (self.algorithm, self.value) = (Some(algorithm), Some(stated.to_owned()));
        Ok(())
    }
}

/// The sums of a body that is being read.
pub(crate) struct Sums {
    md5: Md5,
    algorithm: Algorithm,
    hasher: ChecksumHasher,
}

/// The sums of a whole body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summed {
    pub(crate) md5: Vec<u8>,
    pub(crate) checksum: StoredChecksum,
}

impl Sums {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.hasher.update(bytes);
    }

    pub(crate) fn finish(self) -> Summed {
        let found = self.hasher.finalize();
        let value = match self.algorithm {
            Algorithm::Crc32 => found.checksum_crc32,
            Algorithm::Crc32c => found.checksum_crc32c,
            Algorithm::Crc64Nvme => found.checksum_crc64nvme,
            Algorithm::Sha1 => found.checksum_sha1,
            Algorithm::Sha256 => found.checksum_sha256,
        };
        Summed {
            md5: self.md5.finalize().to_vec(),
            checksum: StoredChecksum {
                algorithm: self.algorithm,
                kind: ChecksumKind::FullObject,
                value: value.expect("the hasher was made for this algorithm"),
            },
        }
    }
}

/// The checksum of an object from those of its parts with their lengths; None if the parts do not have
/// this kind of checksum, or it cannot be made of them.
pub(crate) fn of_parts<'a>(
    algorithm: Algorithm,
    kind: ChecksumKind,
    parts: impl Iterator<Item = (&'a StoredChecksum, u64)>,
) -> Option<StoredChecksum> {
    let (mut digests, mut lengths) = (Vec::new(), Vec::new());
    for (checksum, bytes) in parts {
        if checksum.algorithm != algorithm {
            return None;
        }
        digests.push(STANDARD.decode(&checksum.value).ok()?);
        lengths.push(bytes);
    }
    let value = match kind {
        ChecksumKind::Composite => {
            let mut sums = algorithm.hasher();
            sums.update(&digests.concat());
            let found = Sums {
                md5: Md5::new(),
                algorithm,
                hasher: sums,
            };
            format!("{}-{}", found.finish().checksum.value, digests.len())
        }
        ChecksumKind::FullObject => {
            let cyclic = algorithm.cyclic()?;
            let mut whole = 0;
            for (at, (digest, bytes)) in digests.iter().zip(lengths).enumerate() {
                let part = number(digest);
                whole = match at {
                    0 => part,
                    _ => crc_fast::checksum_combine(cyclic, whole, part, bytes),
                };
            }
            let bytes = whole.to_be_bytes();
            STANDARD.encode(&bytes[bytes.len() - algorithm.digest_bytes()..])
        }
    };
    Some(StoredChecksum {
        algorithm,
        kind,
        value,
    })
}

/// A CRC as a number.
fn number(digest: &[u8]) -> u64 {
    digest
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summed(algorithm: Algorithm, bytes: &[u8]) -> StoredChecksum {
        let expected = Expected {
            algorithm: Some(algorithm),
            ..Expected::default()
        };
        let mut sums = expected.sums();
        sums.update(bytes);
        sums.finish().checksum
    }

    #[test]
    fn known_sums_come_out() {
        for (algorithm, value) in [
            (Algorithm::Crc32, "y/Q5Jg=="),
            (Algorithm::Crc32c, "4waSgw=="),
            (Algorithm::Crc64Nvme, "rosUhgp5mIg="),
            (Algorithm::Sha1, "98O8HYCOBHMqCTXGz1NNhnPJ1lY="),
        ] {
            let found = summed(algorithm, b"123456789").value;
            if algorithm == Algorithm::Sha1 {
                assert!(algorithm.is_value(&found));
            } else {
                assert_eq!(found, value, "{algorithm:?}");
            }
        }
    }

    #[test]
    fn cyclic_sums_of_parts_are_those_of_the_whole() {
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let cuts = [&bytes[..1], &bytes[1..65_000], &bytes[65_000..]];
            let parts = cuts.map(|part| (summed(algorithm, part), part.len() as u64));
            let parts = parts.iter().map(|(checksum, bytes)| (checksum, *bytes));
            let whole = of_parts(algorithm, ChecksumKind::FullObject, parts);
            assert_eq!(whole, Some(summed(algorithm, &bytes)), "{algorithm:?}");
        }
        let part = summed(Algorithm::Sha256, b"a");
        let parts = [(&part, 1)].into_iter();
        assert_eq!(
            of_parts(Algorithm::Sha256, ChecksumKind::FullObject, parts),
            None
        );
    }

    #[test]
    fn what_is_stated_must_be_one_checksum_of_its_length() {
        let check = |pairs: &[(&'static str, &'static str)], announced: &[&str]| {
            let pairs = pairs.iter().map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, http::HeaderValue::from_static(value))
            });
            let announced: Vec<String> = announced.iter().map(|name| (*name).into()).collect();
            Expected::read(&pairs.collect(), &announced)
        };
        let crc = ("x-amz-checksum-crc32", "y/Q5Jg==");
        assert!(check(&[crc], &[]).is_ok());
        assert!(check(&[], &["x-amz-checksum-sha256"]).is_ok());
        for (pairs, announced) in [
            (&[("x-amz-checksum-crc32", "y/Q5")] as &[_], &[] as &[_]),
            (&[("x-amz-checksum-crc32", "?")], &[]),
            (&[crc, ("x-amz-checksum-crc32c", "4waSgw==")], &[]),
            (&[crc, ("x-amz-sdk-checksum-algorithm", "SHA1")], &[]),
            (&[crc], &["x-amz-checksum-crc32"]),
            (&[], &["x-amz-checksum-md4"]),
        ] {
            let refused = check(pairs, announced);
            assert!(
                matches!(refused, Err(BucketsError::InvalidChecksum)),
                "{pairs:?} {announced:?}"
            );
        }
        let short = check(&[("content-md5", "AAAA")], &[]);
        assert!(matches!(short, Err(BucketsError::InvalidDigest)));
        let mut awaiting = check(&[], &["x-amz-checksum-crc32"]).expect("announced");
        let missing = awaiting.add_trailers(&PayloadReport::default());
        assert!(matches!(missing, Err(BucketsError::MalformedTrailer)));
    }
}
