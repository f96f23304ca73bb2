//! What the clients of all services have in common: addresses, credentials, time limits.

use aws_credential_types::Credentials;
use aws_sdk_sns::config::SharedHttpClient;
use aws_sdk_sns::config::timeout::TimeoutConfig;

use super::{ServiceAddress, ServiceConfig, ServiceFailure};
use crate::s3::http_client;
use crate::{S3Credentials, S3Timeouts};

/// The clients of one service, one for each address.
#[derive(Debug)]
pub(super) struct Addressed<C> {
    name: String,
    clients: Vec<(Option<String>, C)>,
}

impl<C> Addressed<C> {
    /// Clients for all addresses, each made by `make`.
    pub(super) fn new(
        config: &ServiceConfig,
        make: impl Fn(&ServiceAddress, SharedHttpClient) -> C,
    ) -> Result<Self, ServiceFailure> {
        let http = http_client(&config.name, config.ca_file.as_deref())?;
        let clients = config.addresses.iter();
        let clients = clients.map(|address| (address.region.clone(), make(address, http.clone())));
        Ok(Self {
            name: config.name.clone(),
            clients: clients.collect(),
        })
    }

    /// The client for resources of a Region: that of the Region's own address, else that of every Region.
    pub(super) fn of_region(&self, region: &str) -> Result<&C, ServiceFailure> {
        let of_its_own = self
            .clients
            .iter()
            .find(|(of, _)| of.as_deref() == Some(region));
        let found = of_its_own.or_else(|| self.clients.iter().find(|(of, _)| of.is_none()));
        found.map(|(_, client)| client).ok_or_else(|| {
            let message = format!("endpoints.{} has no address for {region}", self.name);
            ServiceFailure::new(ServiceFailure::NOT_CONFIGURED, message)
        })
    }
}

pub(super) fn credentials(credentials: &S3Credentials) -> Credentials {
    Credentials::new(
        credentials.access_key_id.as_str(),
        credentials.secret.as_str(),
        credentials.session_token.clone(),
        None,
        "cairn",
    )
}

pub(super) fn timeouts(timeouts: S3Timeouts) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.read)
        .operation_timeout(timeouts.operation)
        .build()
}
