//! Accepts connections and serves HTTP/1.1 and HTTP/2 on them until told to stop.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cairn_platform::Clock;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::connections::{Activity, ConnectionPlace, Connections};
use super::socket::Socket;
use super::{ConnectionFacts, ResponseBody, date, large_answer, tls};
use crate::config::{HttpConfig, TlsConfig};
use crate::error::StartError;

/// Pause after the system refused to hand over a connection, for example for lack of descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// Time for a connection that is being closed to say goodbye.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Gives the answer to each request.
#[async_trait]
pub(crate) trait Handler: Send + Sync + fmt::Debug + 'static {
    /// Must not panic: the connection would go with it.
    async fn handle(
        &self,
        connection: &ConnectionFacts,
        request: Request<Incoming>,
    ) -> Response<ResponseBody>;
}

/// A bound socket with its limits.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    tls: Option<(TlsTerminator, Duration)>,
    limits: HttpConfig,
    clock: Arc<dyn Clock>,
    connections: Arc<Connections>,
}

#[derive(Clone)]
struct TlsTerminator(TlsAcceptor);

impl fmt::Debug for TlsTerminator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTerminator")
    }
}

impl Listener {
    /// Binds the address; connections wait in the system's queue until `serve`.
    pub(crate) async fn bind(
        address: SocketAddr,
        limits: HttpConfig,
        tls: Option<&TlsConfig>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let tls = match tls {
            Some(config) => Some((
                TlsTerminator(tls::acceptor(config)?),
                config.handshake_timeout,
            )),
            None => None,
        };
        let socket = TcpListener::bind(address)
            .await
            .map_err(|error| StartError::Listen {
                address,
                reason: error.to_string(),
            })?;
        Ok(Self {
            socket,
            tls,
            limits,
            clock,
            connections: Arc::default(),
        })
    }

    /// The address that was bound, with the port that the system chose if none was given.
    pub(crate) fn local_address(&self) -> Result<SocketAddr, StartError> {
        let unknown = |error: std::io::Error| StartError::Listen {
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            reason: error.to_string(),
        };
        self.socket.local_addr().map_err(unknown)
    }

    /// A counter of open connections, for metrics.
    pub(crate) fn connection_count(&self) -> impl Fn() -> usize + Send + Sync + 'static {
        let connections = Arc::clone(&self.connections);
        move || connections.open()
    }

    /// Serves until `stop` is true, then closes the socket and waits for requests in progress.
    pub(crate) async fn serve(self, handler: Arc<dyn Handler>, mut stop: watch::Receiver<bool>) {
        let tracker = TaskTracker::new();
        let service = ConnectionService {
            protocol: Arc::new(protocol(&self.limits)),
            handler,
            tls: self.tls,
            idle_timeout: self.limits.idle_timeout,
            clock: Arc::clone(&self.clock),
            stop: stop.clone(),
        };
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let (stream, peer) = match accepted {
                Ok(connection) => connection,
                Err(error) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    self.clock.sleep(ACCEPT_RETRY).await;
                    continue;
                }
            };
            // Only now is there someone for whom another may have to leave.
            let admitted = self
                .connections
                .admit(self.limits.connections_max, &self.clock);
            let place = tokio::select! {
                place = admitted => place,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            place.connect();
            tracker.spawn(service.clone().serve(stream, peer, place));
        }
        drop(self.socket);
        tracker.close();
        tracker.wait().await;
    }
}

#[derive(Clone)]
struct ConnectionService {
    protocol: Arc<auto::Builder<TokioExecutor>>,
    handler: Arc<dyn Handler>,
    tls: Option<(TlsTerminator, Duration)>,
    idle_timeout: Duration,
    clock: Arc<dyn Clock>,
    stop: watch::Receiver<bool>,
}

impl ConnectionService {
    async fn serve(self, stream: TcpStream, peer: SocketAddr, place: Arc<ConnectionPlace>) {
        // Answers are written whole; waiting to fill a packet would only delay them.
        let _ = stream.set_nodelay(true);
        let stream = Socket::new(stream, Arc::clone(&place));
        let Some((acceptor, timeout)) = self.tls.clone() else {
            let facts = ConnectionFacts { peer, tls: None };
            return self.serve_http(stream, facts, place).await;
        };
        let handshake = tokio::select! {
            handshake = acceptor.0.accept(stream) => handshake,
            () = self.clock.sleep(timeout) => return,
            () = place.evicted() => return,
        };
        match handshake {
            Ok(stream) => {
                let facts = ConnectionFacts {
                    peer,
                    tls: Some(tls::facts(stream.get_ref().1)),
                };
                self.serve_http(stream, facts, place).await;
            }
            Err(error) => tracing::debug!(%peer, error = %error, "tls handshake failed"),
        }
    }

    async fn serve_http<S>(mut self, stream: S, facts: ConnectionFacts, place: Arc<ConnectionPlace>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let facts = Arc::new(facts);
        let handler = Arc::clone(&self.handler);
        let requests = Arc::clone(&place);
        let clock = Arc::clone(&self.clock);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let active = Arc::new(requests.begin_request());
            request.extensions_mut().insert(Activity::of(&active));
            let handler = Arc::clone(&handler);
            let facts = Arc::clone(&facts);
            let place = Arc::clone(&requests);
            let clock = Arc::clone(&clock);
            async move {
                let response = handler.handle(&facts, request).await;
                let mut response = large_answer::watched(response, &place);
                date::stamp(&mut response, &*clock);
                drop(active);
                Ok::<_, Infallible>(response)
            }
        });
        let connection = self
            .protocol
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut closing = false;
        loop {
            let wait = if closing {
                CLOSE_GRACE
            } else {
                self.idle_timeout.saturating_sub(place.idle_for())
            };
            tokio::select! {
                // How a connection ends is the client's business; hyper has answered what it could.
                _ = connection.as_mut() => return,
                () = place.evicted() => return,
                () = self.clock.sleep(wait.max(Duration::from_millis(1))) => {
                    let idle = place.idle_for();
                    if closing && idle >= CLOSE_GRACE {
                        return;
                    }
                    if !closing && idle >= self.idle_timeout {
                        closing = true;
                        connection.as_mut().graceful_shutdown();
                    }
                }
                _ = self.stop.wait_for(|stop| *stop), if !closing => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

fn protocol(limits: &HttpConfig) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_timeout)
        .max_headers(limits.header_count_max)
        .max_buf_size(limits.header_bytes_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams_max)
        .max_pending_accept_reset_streams(limits.h2_resets_max)
        .max_local_error_reset_streams(limits.h2_error_resets_max)
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .initial_stream_window_size(limits.h2_stream_window_bytes)
        .initial_connection_window_size(limits.h2_connection_window_bytes)
        .max_send_buf_size(limits.h2_send_buffer_bytes_max)
        .keep_alive_interval(limits.idle_timeout)
        .keep_alive_timeout(limits.header_read_timeout);
    builder
}
