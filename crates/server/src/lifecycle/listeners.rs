//! The sockets of a server: the API, the S3 endpoint, and, where both speak TLS, a plain one on the loopback
//! interface for the deliveries that the server makes to its own buckets: its certificate is made out to the
//! names that others know it by.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use cairn_platform::Clock;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::error::StartError;
use crate::http::{Handler, Listener};
use crate::pipeline::ConnectionCount;

/// Where a server answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) api: SocketAddr,
    pub(crate) bucket: SocketAddr,
    /// Where the S3 endpoint takes the server's own deliveries, in plain HTTP.
    pub(crate) deliveries: SocketAddr,
}

#[cfg(test)]
impl Addresses {
    /// One address for everything, where nobody listens.
    pub(crate) fn one(address: SocketAddr) -> Self {
        Self {
            api: address,
            bucket: address,
            deliveries: address,
        }
    }
}

/// The bound sockets.
#[derive(Debug)]
pub(super) struct Listeners {
    api: Listener,
    bucket: Listener,
    deliveries: Option<Listener>,
    pub(super) addresses: Addresses,
}

impl Listeners {
    pub(super) async fn bind(config: &Config, clock: &Arc<dyn Clock>) -> Result<Self, StartError> {
        let bind =
            |address, tls| Listener::bind(address, config.http.clone(), tls, Arc::clone(clock));
        let tls = config.tls.as_ref();
        let api = bind(config.listen, tls).await?;
        let bucket = bind(config.s3_listen, tls).await?;
        let deliveries = match tls {
            Some(_) => Some(bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None).await?),
            None => None,
        };
        let addresses = Addresses {
            api: api.local_address()?,
            bucket: bucket.local_address()?,
            deliveries: deliveries.as_ref().unwrap_or(&bucket).local_address()?,
        };
        let is_open = |address: SocketAddr| !address.ip().is_loopback();
        if tls.is_none() && (is_open(addresses.api) || is_open(addresses.bucket)) {
            tracing::warn!(
                "events and answers travel in plain text beyond this machine: no TLS is set up"
            );
        }
        Ok(Self {
            api,
            bucket,
            deliveries,
            addresses,
        })
    }

    /// Counts the open connections of those that others may use.
    pub(super) fn connection_count(&self) -> ConnectionCount {
        let (api, bucket) = (self.api.connection_count(), self.bucket.connection_count());
        ConnectionCount(Box::new(move || api() + bucket()))
    }

    /// Takes requests until `stop` turns true.
    pub(super) fn serve(
        self,
        api: Arc<dyn Handler>,
        bucket: &Arc<dyn Handler>,
        stop: &watch::Receiver<bool>,
    ) -> Vec<JoinHandle<()>> {
        let mut serving = vec![
            tokio::spawn(self.api.serve(api, stop.clone())),
            tokio::spawn(self.bucket.serve(Arc::clone(bucket), stop.clone())),
        ];
        if let Some(deliveries) = self.deliveries {
            let handler = Arc::clone(bucket);
            serving.push(tokio::spawn(deliveries.serve(handler, stop.clone())));
        }
        serving
    }
}
