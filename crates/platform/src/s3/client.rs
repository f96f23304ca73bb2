//! The requests to one endpoint.

use std::path::Path;

use aws_credential_types::Credentials;
use aws_lc_rs::digest::{Context, SHA256};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Config, IdentityCache, Region, RequestChecksumCalculation,
    ResponseChecksumValidation,
};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ObjectCannedAcl, ServerSideEncryption};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::failure::element;
use super::{
    ListedObject, NewObject, ObjectEncryption, ObjectHead, ObjectPage, ObjectReader, PutOutcome,
    S3CredentialSource, S3EndpointConfig, S3Failure, S3Purpose, StoredBytes,
};

/// One endpoint's client.
#[derive(Debug)]
pub struct S3Client {
    name: String,
    client: aws_sdk_s3::Client,
    credentials: S3CredentialSource,
}

impl S3Client {
    /// A client for the endpoint.
    pub fn new(config: S3EndpointConfig) -> Result<Self, S3Failure> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(config.timeouts.connect)
            .read_timeout(config.timeouts.read)
            .operation_timeout(config.timeouts.operation)
            .build();
        let mut builder = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(config.region.clone()))
            .force_path_style(config.path_style)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            // Credentials go with each request: a cache of them would grow with every session.
            .identity_cache(IdentityCache::no_cache())
            // Puts carry the SHA-256 that the caller recorded; other servers than AWS's do not know the
            // checksums that the SDK would add to everything else.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .http_client(http_client(&config.name, config.ca_file.as_deref())?);
        if let Some(url) = &config.url {
            builder = builder.endpoint_url(url);
        }
        Ok(Self {
            name: config.name,
            client: aws_sdk_s3::Client::from_conf(builder.build()),
            credentials: config.credentials,
        })
    }

    /// What logs and errors call the endpoint.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts an object, in one attempt. A 409 is a failure like others: it says that another request is under way,
    /// not that it has succeeded.
    pub async fn put_new(
        &self,
        object: &NewObject,
        purpose: &S3Purpose,
    ) -> Result<PutOutcome, S3Failure> {
        let body = object.read_body().await?;
        let mut request = self
            .client
            .put_object()
            .bucket(&object.bucket)
            .key(&object.key)
            .content_length(i64::try_from(body.len()).unwrap_or(i64::MAX))
            .checksum_sha256(aws_smithy_types::base64::encode(object.sha256))
            .set_content_type(object.content_type.clone())
            .set_content_encoding(object.content_encoding.clone())
            .body(ByteStream::from(body));
        for (name, value) in &object.metadata {
            request = request.metadata(name, value);
        }
        if object.gives_owner_full_control {
            request = request.acl(ObjectCannedAcl::BucketOwnerFullControl);
        }
        if object.if_none_match {
            request = request.if_none_match("*");
        }
        request = match &object.encryption {
            None => request,
            Some(ObjectEncryption::Managed) => {
                request.server_side_encryption(ServerSideEncryption::Aes256)
            }
            Some(ObjectEncryption::Kms { key_id, context }) => {
                let request = request
                    .server_side_encryption(ServerSideEncryption::AwsKms)
                    .ssekms_key_id(key_id);
                match encryption_context(context) {
                    None => request,
                    Some(context) => request.ssekms_encryption_context(context),
                }
            }
        };
        let signer = self.signer(purpose).await?;
        // A success whose body is an error comes as an error: the SDK looks into it.
        let sent = request.customize().config_override(signer).send().await;
        match sent {
            Ok(answer) => {
                confirm_checksum(object, answer.checksum_sha256())?;
                let told = answer.server_side_encryption.as_ref();
                told_encryption(object, told, answer.ssekms_key_id.as_deref())
            }
            Err(error) => match S3Failure::of(&error) {
                failure if object.if_none_match && failure.http_status == Some(412) => {
                    Ok(PutOutcome::AlreadyThere)
                }
                failure => Err(failure),
            },
        }
    }

    /// Whether the object of this key has these bytes. They are read whole: no other proof is known to every
    /// server.
    pub async fn compare(&self, object: &NewObject, purpose: &S3Purpose) -> StoredBytes {
        let Ok(mut reader) = self.get(&object.bucket, &object.key, purpose).await else {
            return StoredBytes::Unreadable;
        };
        let mut hash = Context::new(&SHA256);
        loop {
            match reader.next_piece().await {
                Ok(Some(piece)) => hash.update(&piece),
                Ok(None) => break,
                Err(_) => return StoredBytes::Unreadable,
            }
        }
        if hash.finish().as_ref() == object.sha256 {
            StoredBytes::Same
        } else {
            StoredBytes::Other
        }
    }

    /// Begins to read an object.
    pub async fn get(
        &self,
        bucket: &str,
        key: &str,
        purpose: &S3Purpose,
    ) -> Result<ObjectReader, S3Failure> {
        let request = self.client.get_object().bucket(bucket).key(key);
        let signer = self.signer(purpose).await?;
        let sent = request.customize().config_override(signer).send().await;
        let answer = sent.map_err(|error| S3Failure::of(&error))?;
        Ok(ObjectReader {
            head: head(answer.content_length, answer.metadata),
            body: answer.body,
        })
    }

    /// What is said of an object. A missing one has the code `NotFound`: there is no body that could say more.
    pub async fn head(
        &self,
        bucket: &str,
        key: &str,
        purpose: &S3Purpose,
    ) -> Result<ObjectHead, S3Failure> {
        let request = self.client.head_object().bucket(bucket).key(key);
        let signer = self.signer(purpose).await?;
        let sent = request.customize().config_override(signer).send().await;
        let answer = sent.map_err(|error| S3Failure::of(&error))?;
        Ok(head(answer.content_length, answer.metadata))
    }

    /// A page of the keys that begin with `prefix` and come after `marker` (ListObjects, version 1: every server
    /// has it).
    pub async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        marker: Option<&str>,
        purpose: &S3Purpose,
    ) -> Result<ObjectPage, S3Failure> {
        let request = self
            .client
            .list_objects()
            .bucket(bucket)
            .prefix(prefix)
            .set_marker(marker.map(str::to_owned));
        let signer = self.signer(purpose).await?;
        let sent = request.customize().config_override(signer).send().await;
        let answer = sent.map_err(|error| S3Failure::of(&error))?;
        let is_truncated = answer.is_truncated.unwrap_or(false);
        let objects: Vec<ListedObject> = answer
            .contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|object| {
                Some(ListedObject {
                    key: object.key?,
                    length: unsigned(object.size),
                })
            })
            .collect();
        // Without a delimiter the last key is the marker, whatever the server says of it.
        let last = objects.last().map(|object| object.key.clone());
        if is_truncated && last.is_none() {
            let message = "a page of a listing is empty and not the last";
            return Err(S3Failure::new(S3Failure::INVALID_ANSWER, message));
        }
        Ok(ObjectPage {
            next_marker: last.filter(|_| is_truncated),
            objects,
        })
    }

    /// The Region of a bucket.
    pub async fn bucket_location(
        &self,
        bucket: &str,
        purpose: &S3Purpose,
    ) -> Result<String, S3Failure> {
        let request = self.client.get_bucket_location().bucket(bucket);
        let signer = self.signer(purpose).await?;
        let sent = request.customize().config_override(signer).send().await;
        let told = match sent {
            Ok(answer) => answer
                .location_constraint
                .map_or_else(String::new, |region| region.as_str().to_owned()),
            Err(error) => {
                wrapped_location(error.raw_response()).ok_or_else(|| S3Failure::of(&error))?
            }
        };
        // The oldest two Regions have names of their own here.
        Ok(match told.as_str() {
            "" => "us-east-1",
            "EU" => "eu-west-1",
            region => region,
        }
        .to_owned())
    }

    async fn signer(&self, purpose: &S3Purpose) -> Result<Builder, S3Failure> {
        let credentials = match &self.credentials {
            S3CredentialSource::Static(credentials) => credentials.clone(),
            S3CredentialSource::Dynamic(source) => source.credentials(purpose).await?,
        };
        let credentials = Credentials::new(
            credentials.access_key_id.as_str(),
            credentials.secret.as_str(),
            credentials.session_token.clone(),
            None,
            "cairn",
        );
        Ok(Config::builder().credentials_provider(credentials))
    }
}

/// A server that says what it has stored must have stored what was sent.
fn confirm_checksum(object: &NewObject, stored: Option<&str>) -> Result<(), S3Failure> {
    let sent = aws_smithy_types::base64::encode(object.sha256);
    if stored.is_none_or(|stored| stored == sent) {
        return Ok(());
    }
    let message = "the checksum of what was stored is not that of what was sent";
    Err(S3Failure::new(S3Failure::INVALID_ANSWER, message))
}

/// A client that trusts the system's certificates and those of `ca_file`.
pub(crate) fn http_client(
    name: &str,
    ca_file: Option<&Path>,
) -> Result<aws_sdk_s3::config::SharedHttpClient, S3Failure> {
    let mut trusted = TrustStore::default();
    if let Some(file) = ca_file {
        let unreadable = |reason: &dyn std::fmt::Display| {
            let message = format!("endpoint {name}: {}: {reason}", file.display());
            S3Failure::new(S3Failure::INVALID_REQUEST, message)
        };
        let pem = std::fs::read(file).map_err(|error| unreadable(&error))?;
        if !pem
            .windows(27)
            .any(|window| window == b"-----BEGIN CERTIFICATE-----")
        {
            return Err(unreadable(&"holds no certificate"));
        }
        trusted.add_pem_certificate(pem);
    }
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let context = context.map_err(|error| {
        S3Failure::new(
            S3Failure::INVALID_REQUEST,
            format!("endpoint {name}: {error}"),
        )
    })?;
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(context)
        .build_https())
}

/// What came of a put. An endpoint that does not know SSE-KMS may store the object all the same, or take another key:
/// that is no success. An endpoint need not name the key.
fn told_encryption(
    object: &NewObject,
    told: Option<&ServerSideEncryption>,
    told_key: Option<&str>,
) -> Result<PutOutcome, S3Failure> {
    let failed = |message: &str| Err(S3Failure::new(S3Failure::NOT_ENCRYPTED, message));
    let Some(ObjectEncryption::Kms { key_id, .. }) = &object.encryption else {
        return Ok(PutOutcome::Created);
    };
    if told != Some(&ServerSideEncryption::AwsKms) {
        return failed(
            "the endpoint does not say that it has encrypted the object with the KMS key",
        );
    }
    if told_key.is_some_and(|told| !is_same_key(key_id, told)) {
        return failed("the endpoint says that it has encrypted the object with another KMS key");
    }
    Ok(PutOutcome::Created)
}

/// Whether two names can be those of one key: either may be its ARN or its ID alone. An alias tells nothing.
fn is_same_key(wanted: &str, told: &str) -> bool {
    let id = |name: &str| name.rsplit_once(":key/").map(|(_, id)| id.to_owned());
    if wanted.starts_with("alias/") || wanted.contains(":alias/") || wanted == told {
        return true;
    }
    match (id(wanted), id(told)) {
        (Some(wanted), None) => wanted == told,
        (None, Some(told)) => wanted == told,
        (Some(_), Some(_)) | (None, None) => false,
    }
}

/// The Region in an answer with one element more around it than AWS's, as SeaweedFS gives it.
fn wrapped_location(answer: Option<&HttpResponse>) -> Option<String> {
    let answer = answer.filter(|answer| answer.status().is_success())?;
    let text = std::str::from_utf8(answer.body().bytes()?).ok()?;
    element(text, "LocationConstraint").map(str::to_owned)
}

fn head(
    length: Option<i64>,
    metadata: Option<std::collections::HashMap<String, String>>,
) -> ObjectHead {
    ObjectHead {
        length: unsigned(length),
        metadata: metadata
            .unwrap_or_default()
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect(),
    }
}

fn unsigned(number: Option<i64>) -> u64 {
    number
        .and_then(|number| u64::try_from(number).ok())
        .unwrap_or_default()
}

/// The encryption context as its header carries it: JSON in base64.
fn encryption_context(pairs: &[(String, String)]) -> Option<String> {
    if pairs.is_empty() {
        return None;
    }
    let members = pairs
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()));
    let object = serde_json::Value::Object(members.collect());
    Some(aws_smithy_types::base64::encode(object.to_string()))
}
