//! Files in buckets. Each bucket is spoken to in its own Region, as the AWS CLI does, and never with more requests
//! at a time than allowed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use cairn_integrity::{FetchedDigest, LogFileEntry, LogFileFault, LogFileHash, SIZE_LIMITS};
use cairn_platform::{
    Clock, S3Client, S3CredentialSource, S3Credentials, S3EndpointConfig, S3Failure, S3Purpose,
    S3Timeouts,
};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use super::source::{DIGEST_BYTES_MAX, DigestAnswer};
use crate::client::{CalledService, ClientProfile, ProfileArguments};

/// How often a request is tried, and how long the first pause is; each further one is twice as long.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Buckets by the caller's own credentials.
#[derive(Debug)]
pub(super) struct BucketSource {
    config: S3EndpointConfig,
    clients: Mutex<HashMap<String, Arc<S3Client>>>,
    requests: Semaphore,
    clock: Arc<dyn Clock>,
}

impl BucketSource {
    pub(super) fn new(
        arguments: &ProfileArguments,
        clock: Arc<dyn Clock>,
        requests: usize,
    ) -> anyhow::Result<Self> {
        let profile = ClientProfile::resolve(arguments, CalledService::S3)?;
        let api = ClientProfile::resolve(arguments, CalledService::CloudTrail)?;
        let url = if profile.is_endpoint_given {
            Some(profile.endpoint)
        } else if is_at_aws(&api.endpoint) {
            None
        } else {
            anyhow::ensure!(
                !api.is_endpoint_given,
                "where are the buckets? Set AWS_ENDPOINT_URL_S3, or s3 in the services section of the profile"
            );
            Some(profile.endpoint)
        };
        let path_style = match profile.addressing_style.as_deref() {
            Some("path") => true,
            Some("virtual") => false,
            _ => url.is_some(),
        };
        Ok(Self {
            config: S3EndpointConfig {
                name: url.clone().unwrap_or_else(|| "AWS".to_owned()),
                buckets: Vec::new(),
                url,
                region: profile.region,
                path_style,
                credentials: S3CredentialSource::Static(S3Credentials {
                    access_key_id: profile.access_key_id,
                    secret: profile.secret.expose().to_owned().into(),
                    session_token: profile.session_token,
                }),
                ca_file: profile.ca_bundle,
                timeouts: S3Timeouts::default(),
            },
            clients: Mutex::default(),
            requests: Semaphore::new(requests),
            clock,
        })
    }

    pub(super) async fn keys(
        &self,
        bucket: &str,
        prefix: &str,
        marker: &str,
        is_beyond: &(dyn Fn(&str) -> bool + Sync),
    ) -> anyhow::Result<Vec<String>> {
        let client = self.client(bucket).await?;
        let mut keys = Vec::new();
        let mut marker = Some(marker.to_owned());
        while let Some(after) = marker {
            let mut tries = Tries::new(&self.clock);
            let page = loop {
                let place = self.place().await;
                let page = client.list(bucket, prefix, Some(&after), &S3Purpose::Command);
                let page = page.await;
                drop(place);
                if let Some(settled) = tries.settle(page).await {
                    break settled
                        .with_context(|| format!("cannot list s3://{bucket}/{prefix}"))?;
                }
            };
            for object in page.objects {
                if is_beyond(&object.key) {
                    return Ok(keys);
                }
                keys.push(object.key);
            }
            marker = page.next_marker;
        }
        Ok(keys)
    }

    pub(super) async fn digest(&self, bucket: &str, key: &str) -> anyhow::Result<DigestAnswer> {
        let client = self.client(bucket).await?;
        let mut tries = Tries::new(&self.clock);
        loop {
            let place = self.place().await;
            let outcome = digest_once(&client, bucket, key).await;
            drop(place);
            match tries.settle(outcome).await {
                None => {}
                Some(Ok(fetched)) => return Ok(DigestAnswer::There(fetched)),
                Some(Err(failure)) if failure.is_no_such_key() => {
                    return Ok(DigestAnswer::NotFound);
                }
                Some(Err(failure)) => return unreadable(failure, bucket, key),
            }
        }
    }

    pub(super) async fn check(
        &self,
        entry: &LogFileEntry,
    ) -> anyhow::Result<Result<(), LogFileFault>> {
        let client = self.client(&entry.bucket).await?;
        let mut tries = Tries::new(&self.clock);
        loop {
            let place = self.place().await;
            let outcome = check_once(&client, entry).await;
            drop(place);
            match tries.settle(outcome).await {
                None => {}
                Some(Ok(verdict)) => return Ok(verdict),
                Some(Err(failure)) if failure.is_no_such_key() => {
                    return Ok(Err(LogFileFault::NotFound));
                }
                Some(Err(failure)) => return unreadable(failure, &entry.bucket, &entry.object),
            }
        }
    }

    /// The client of the bucket's Region.
    async fn client(&self, bucket: &str) -> anyhow::Result<Arc<S3Client>> {
        // Held while the bucket is asked for its Region, so that it is asked once.
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(bucket) {
            return Ok(Arc::clone(client));
        }
        let first = S3Client::new(self.config.clone())?;
        let mut tries = Tries::new(&self.clock);
        let region = loop {
            let region = first.bucket_location(bucket, &S3Purpose::Command).await;
            if let Some(settled) = tries.settle(region).await {
                let unknown = || format!("cannot find out the Region of bucket {bucket}");
                break settled.with_context(unknown)?;
            }
        };
        let config = S3EndpointConfig {
            region,
            ..self.config.clone()
        };
        let client = Arc::new(S3Client::new(config)?);
        clients.insert(bucket.to_owned(), Arc::clone(&client));
        Ok(client)
    }

    async fn place(&self) -> SemaphorePermit<'_> {
        self.requests.acquire().await.expect("nobody closes it")
    }
}

async fn digest_once(
    client: &S3Client,
    bucket: &str,
    key: &str,
) -> Result<FetchedDigest, S3Failure> {
    let mut object = client.get(bucket, key, &S3Purpose::Command).await?;
    let mut metadata = std::mem::take(&mut object.head.metadata);
    Ok(FetchedDigest {
        packed: object.read_all(DIGEST_BYTES_MAX).await?,
        signature: metadata.remove("signature"),
        signature_algorithm: metadata.remove("signature-algorithm"),
        backfill_generation: metadata.remove("backfill-generation-timestamp"),
    })
}

async fn check_once(
    client: &S3Client,
    entry: &LogFileEntry,
) -> Result<Result<(), LogFileFault>, S3Failure> {
    let (bucket, key) = (&entry.bucket, &entry.object);
    let mut object = client.get(bucket, key, &S3Purpose::Command).await?;
    let mut hash = LogFileHash::new(SIZE_LIMITS);
    while let Some(piece) = object.next_piece().await? {
        if let Err(fault) = hash.update(&piece) {
            return Ok(Err(fault));
        }
    }
    Ok(hash.finish(&entry.hash_value))
}

fn unreadable<T>(failure: S3Failure, bucket: &str, key: &str) -> anyhow::Result<T> {
    Err(failure).with_context(|| format!("cannot read s3://{bucket}/{key}"))
}

/// The attempts at one request.
struct Tries<'a> {
    clock: &'a Arc<dyn Clock>,
    left: u32,
    pause: Duration,
}

impl<'a> Tries<'a> {
    fn new(clock: &'a Arc<dyn Clock>) -> Self {
        Self {
            clock,
            left: ATTEMPTS - 1,
            pause: FIRST_PAUSE,
        }
    }

    /// The outcome if it is final; `None` after a pause if the request should be made again.
    async fn settle<T>(&mut self, outcome: Result<T, S3Failure>) -> Option<Result<T, S3Failure>> {
        match &outcome {
            Err(failure) if self.left > 0 && is_retryable(failure) => {
                self.left -= 1;
                self.clock.sleep(self.pause).await;
                self.pause *= 2;
                None
            }
            _ => Some(outcome),
        }
    }
}

fn is_retryable(failure: &S3Failure) -> bool {
    let by_status = failure
        .http_status
        .is_some_and(|status| status >= 500 || status == 429);
    by_status || failure.is_timeout || failure.code == S3Failure::CONNECTION
}

/// Whether an address is one of AWS's own.
fn is_at_aws(endpoint: &str) -> bool {
    let host = endpoint.split("://").nth(1).unwrap_or_default();
    let host = host.split(['/', ':']).next().unwrap_or_default();
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}
