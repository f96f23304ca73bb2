//! Signed requests over kept HTTP/1.1 connections, with nothing between us and the socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use cairn_access::SecretKey;
use cairn_access::sigv4::{
    Credentials, RequestParts, ServiceRules, SigningRequest, sha256_hex, sign,
};
use cairn_platform::{Clock, SystemClock};

const REGION: &str = "us-east-1";

/// Whom to call, as whom.
#[derive(Debug)]
pub(crate) struct Target {
    address: String,
    access_key_id: String,
    secret: SecretKey,
    clock: SystemClock,
}

/// One request as it will be sent.
pub(crate) struct Call<'a> {
    pub(crate) path: &'a str,
    pub(crate) service: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

impl Target {
    /// Reads the keys from an AWS credentials file: the first of each name counts.
    pub(crate) fn new(address: &str, credentials_file: &str) -> Result<Self> {
        let text = std::fs::read_to_string(credentials_file).context("credentials file")?;
        let value = |name: &str| {
            text.lines()
                .filter_map(|line| line.split_once('='))
                .find(|(key, _)| key.trim() == name)
                .map(|(_, value)| value.trim().to_owned())
                .with_context(|| format!("the credentials file lacks {name}"))
        };
        Ok(Self {
            address: address.trim_start_matches("http://").to_owned(),
            access_key_id: value("aws_access_key_id")?,
            secret: SecretKey::new(value("aws_secret_access_key")?),
            clock: SystemClock::new(),
        })
    }

    pub(crate) fn clock(&self) -> &SystemClock {
        &self.clock
    }

    pub(crate) fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(&self.address).context("cannot connect")?;
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        Ok(Connection {
            reader: BufReader::new(stream),
        })
    }

    /// The head of a signed request, ready to be sent before the body.
    pub(crate) fn signed_head(&self, call: &Call<'_>) -> Result<Vec<u8>> {
        let mut headers = vec![("host".to_owned(), self.address.clone())];
        for (name, value) in call.headers {
            headers.push(((*name).to_owned(), (*value).to_owned()));
        }
        let payload_hash = sha256_hex(call.body);
        let request = RequestParts {
            method: "POST",
            path: call.path,
            query: "",
            headers: &headers,
            now_ms: self.clock.now_ms(),
        };
        let signing = SigningRequest {
            request,
            payload_hash: &payload_hash,
            region: REGION,
            service: call.service,
            rules: ServiceRules::STANDARD,
        };
        let credentials = Credentials {
            access_key_id: &self.access_key_id,
            secret: &self.secret,
            security_token: None,
        };
        let added = sign(&signing, &credentials).context("cannot sign")?;
        let mut head = format!("POST {} HTTP/1.1\r\n", call.path).into_bytes();
        for (name, value) in headers.iter().chain(&added) {
            write!(head, "{name}: {value}\r\n").context("cannot write to memory")?;
        }
        write!(head, "content-length: {}\r\n\r\n", call.body.len()).context("memory")?;
        Ok(head)
    }
}

/// One kept connection.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Sends head and body, reads the answer: status and body.
    pub(crate) fn exchange(&mut self, head: &[u8], body: &[u8]) -> Result<(u16, Vec<u8>)> {
        let stream = self.reader.get_mut();
        stream.write_all(head).context("cannot send")?;
        stream.write_all(body).context("cannot send")?;
        let mut line = String::new();
        self.reader.read_line(&mut line).context("no answer")?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let mut length = 0_usize;
        loop {
            line.clear();
            ensure!(
                self.reader.read_line(&mut line).context("no answer")? > 0,
                "closed"
            );
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().context("content-length")?;
            }
        }
        let mut answer = vec![0; length];
        self.reader
            .read_exact(&mut answer)
            .context("the answer is cut")?;
        Ok((status.context("the answer has no status")?, answer))
    }
}
