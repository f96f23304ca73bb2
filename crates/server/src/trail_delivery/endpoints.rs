//! The S3 endpoints of the configuration, and the embedded one, which is an endpoint like the others: deliveries
//! come to it over HTTP, signed with a session of CloudTrail's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cairn_model::AccountId;
use cairn_platform::{
    BucketPattern, CredentialSource, S3CredentialSource, S3Credentials, S3EndpointConfig,
    S3Endpoints, S3Failure, S3Purpose, S3Timeouts,
};
use cairn_trails::TrailsConfig;
use zeroize::Zeroizing;

use super::services::SERVICE;
use crate::client::credentials_of_section;
use crate::config::{Config, EndpointsConfig, S3EndpointSettings};
use crate::doors::PARTITION;
use crate::error::StartError;
use crate::query_protocol::World;
use crate::sts::{ServiceSession, ServiceSource, service_credentials};

/// How long the credentials of one delivery are good: longer than any put may take.
const SESSION_MS: i64 = 2 * 3_600_000;
/// How much more than the event log's bound the spool leaves free.
const SPOOL_MARGIN_BYTES: u64 = 64 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Clients for all endpoints.
pub(crate) fn s3_endpoints(
    config: &Config,
    world: &Arc<World>,
    embedded: SocketAddr,
) -> Result<Arc<S3Endpoints>, StartError> {
    let timeouts = S3Timeouts {
        connect: CONNECT_TIMEOUT,
        read: config.trails.put_timeout,
        operation: config.trails.put_timeout,
    };
    let mut configured = Vec::with_capacity(config.endpoints.s3.len());
    for endpoint in &config.endpoints.s3 {
        configured.push(configured_endpoint(&config.endpoints, endpoint, timeouts)?);
    }
    let embedded = S3EndpointConfig {
        name: "embedded".to_owned(),
        buckets: Vec::new(),
        url: Some(format!("http://{}", reachable(embedded))),
        region: config.account.default_region.to_string(),
        path_style: true,
        credentials: S3CredentialSource::Dynamic(Arc::new(OwnSessions(Arc::clone(world)))),
        ca_file: None,
        timeouts,
    };
    S3Endpoints::new(configured, embedded)
        .map(Arc::new)
        .map_err(|failure| StartError::Open {
            part: "the S3 endpoints",
            reason: failure.to_string(),
        })
}

fn configured_endpoint(
    endpoints: &EndpointsConfig,
    settings: &S3EndpointSettings,
    timeouts: S3Timeouts,
) -> Result<S3EndpointConfig, StartError> {
    let file = endpoints
        .credentials_file
        .as_deref()
        .unwrap_or(Path::new(""));
    let found = credentials_of_section(file, &settings.name);
    let (access_key_id, secret, session_token) = found.map_err(|error| StartError::Open {
        part: "the credentials of the S3 endpoints",
        reason: format!("[{}]: {error}", settings.name),
    })?;
    let patterns = settings.patterns.iter().map(BucketPattern::new);
    Ok(S3EndpointConfig {
        name: settings.name.clone(),
        buckets: patterns.collect(),
        url: Some(settings.url.clone()),
        region: settings.region.clone(),
        path_style: settings.path_style,
        credentials: S3CredentialSource::Static(S3Credentials {
            access_key_id,
            secret: Zeroizing::new(secret.expose().to_owned()),
            session_token,
        }),
        ca_file: endpoints.ca_file.clone(),
        timeouts,
    })
}

/// An address that listens everywhere is reached on this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Sessions of CloudTrail's for the embedded endpoint, each for one trail.
#[derive(Debug)]
struct OwnSessions(Arc<World>);

#[async_trait]
impl CredentialSource for OwnSessions {
    async fn credentials(&self, purpose: &S3Purpose) -> Result<S3Credentials, S3Failure> {
        let refused = || S3Failure::new(S3Failure::INVALID_REQUEST, "nobody is acted for");
        let S3Purpose::Delivery { trail_arn, account } = purpose else {
            return Err(refused());
        };
        let account: AccountId = account.parse().map_err(|_| refused())?;
        let world = &self.0;
        let session = ServiceSession {
            name: SERVICE.to_owned(),
            source: ServiceSource {
                arn: trail_arn.clone(),
                account,
            },
            expires_ms: world.clock.now_ms().saturating_add(SESSION_MS),
        };
        let made = service_credentials(&world.master_key, &*world.entropy, &session);
        Ok(S3Credentials {
            access_key_id: made.access_key_id,
            secret: Zeroizing::new(made.secret.expose().to_owned()),
            session_token: Some(made.session_token),
        })
    }
}

/// The settings of delivery.
pub(crate) fn trails_config(config: &Config) -> TrailsConfig {
    let settings = &config.trails;
    TrailsConfig {
        spool_folder: config.data_dir.join("spool"),
        // The event log stops below its own bound: the spool must not bring it there.
        free_bytes_min: config
            .eventlog
            .free_bytes_min
            .saturating_add(SPOOL_MARGIN_BYTES),
        partition: PARTITION,
        delivery_interval: settings.delivery_interval,
        digest_interval: settings.digest_interval,
        buffer_bytes_max: settings.buffer_bytes_max,
        file_bytes_max: settings.file_bytes_max,
        cut_bytes_max: settings.cut_bytes_max,
        spool_bytes_max: settings.spool_bytes_max,
        spool_trail_bytes_max: settings.spool_trail_bytes_max,
        retry_period: settings.retry_period,
        retry_pause_max: settings.retry_pause_max,
        puts_max: settings.puts_max,
        puts_trail_max: settings.puts_trail_max,
        puts_bytes_max: settings.puts_bytes_max,
        key_period: settings.key_period,
        key_overlap: settings.key_period / 3,
        ..TrailsConfig::default()
    }
}
