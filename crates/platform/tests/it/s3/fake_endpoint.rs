//! An endpoint that gives each connection the next answer of its script, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// These bytes, then the connection is closed.
    Raw(String),
    /// Nothing, for ever.
    Silence,
}

impl Answer {
    pub(crate) fn new(status: &str, headers: &[&str], body: &str) -> Self {
        let lines = headers.iter().flat_map(|header| [*header, "\r\n"]);
        let headers: String = lines.collect();
        Self::Raw(format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        ))
    }

    pub(crate) fn error(status: &str, code: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>told</Message></Error>"
        );
        Self::new(status, &["Content-Type: application/xml"], &body)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    headers: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// The value of a header, names without regard to case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

#[derive(Debug)]
pub(crate) struct FakeEndpoint {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl FakeEndpoint {
    pub(crate) async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut silent = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let request = read_request(&mut stream).await;
                remembered.lock().expect("no panic").push(request);
                match answer {
                    Answer::Silence => silent.push(stream),
                    Answer::Raw(text) => {
                        stream
                            .write_all(text.as_bytes())
                            .await
                            .expect("the client listens");
                        stream.shutdown().await.expect("open until now");
                    }
                }
            }
            std::future::pending::<()>().await;
        });
        Self { url, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> Asked {
    let mut received = Vec::new();
    loop {
        let head_end = received.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(at) = head_end {
            let head = String::from_utf8(received[..at].to_vec()).expect("ASCII");
            let (line, headers) = head.split_once("\r\n").expect("a request has headers");
            let asked = Asked {
                line: line.to_owned(),
                headers: headers.to_owned(),
                body: received[at + 4..].to_vec(),
            };
            let length = asked.header("content-length").unwrap_or("0");
            if asked.body.len() >= length.parse::<usize>().expect("a number") {
                return asked;
            }
        }
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.expect("readable");
        assert!(count > 0, "the request was cut short");
        received.extend_from_slice(&piece[..count]);
    }
}
