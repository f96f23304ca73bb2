//! An S3 endpoint over TCP that keeps its objects in memory and answers one bucket as badly as a test says. Each
//! connection carries one request.

use std::io;
use std::sync::{Arc, Mutex};

use aws_smithy_types::base64;
use bytes::Bytes;
use cairn_platform::{MemoryPuts, NewObject, ObjectBody, ObjectPuts as _, PutOutcome, S3Purpose};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What happens to each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing stored, this status with this code.
    Refusal(u16, &'static str),
    /// Nothing stored, no answer.
    Silence,
    /// Stored, no answer.
    StoredInSilence,
    /// Half of the body is read, then the connection is reset.
    ResetInBody,
    /// Nothing stored, the answer ends within its first line.
    CutAnswer,
    /// Stored, the answer ends within its body.
    StoredCutAnswer,
    /// Stored, the answer comes a byte at a time.
    StoredSlowAnswer,
    /// Nothing stored, and a success whose body is an error.
    ErrorInSuccess,
    /// Stored, and the answer names the checksum of something else.
    StoredOtherChecksum,
}

/// Every kind, and what a trail's status says of it; nothing where time ran out (TRL-079).
pub(crate) const FAULTS: [(Fault, Option<&str>); 13] = [
    (Fault::Refusal(500, "InternalError"), Some("InternalError")),
    (Fault::Refusal(503, "SlowDown"), Some("SlowDown")),
    (Fault::Refusal(403, "AccessDenied"), Some("AccessDenied")),
    (Fault::Refusal(404, "NoSuchBucket"), Some("NoSuchBucket")),
    (Fault::Refusal(400, "BadDigest"), Some("BadDigest")),
    (Fault::Silence, None),
    (Fault::StoredInSilence, None),
    (Fault::ResetInBody, Some("ConnectionFailed")),
    (Fault::CutAnswer, Some("ConnectionFailed")),
    (Fault::StoredCutAnswer, Some("InvalidResponse")),
    (Fault::StoredSlowAnswer, None),
    (Fault::ErrorInSuccess, Some("InternalError")),
    (Fault::StoredOtherChecksum, Some("InvalidResponse")),
];

#[derive(Debug)]
pub(crate) struct FakeS3 {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    objects: Arc<MemoryPuts>,
    /// The bucket that is answered badly, and how.
    fault: Mutex<Option<(String, Fault)>>,
    counts: Mutex<Counts>,
}

/// What was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Puts that met a fault.
    pub(crate) faults: u64,
    /// Puts whose body was not what its checksum says.
    pub(crate) damaged: u64,
}

struct Request {
    method: String,
    bucket: String,
    key: String,
    head: String,
    body: Vec<u8>,
}

impl FakeS3 {
    pub(crate) async fn start(objects: &Arc<MemoryPuts>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let shared = Arc::new(Shared {
            objects: Arc::clone(objects),
            fault: Mutex::default(),
            counts: Mutex::default(),
        });
        let served = Arc::clone(&shared);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let shared = Arc::clone(&served);
                tokio::spawn(async move {
                    // A client that went away is the fault's doing.
                    let _ = shared.serve(stream).await;
                });
            }
        });
        Self { url, shared }
    }

    pub(crate) fn break_bucket(&self, bucket: &str, fault: Fault) {
        *self.shared.fault.lock().expect("no panic") = Some((bucket.to_owned(), fault));
    }

    pub(crate) fn mend(&self) {
        *self.shared.fault.lock().expect("no panic") = None;
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.shared.counts.lock().expect("no panic")
    }
}

impl Shared {
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let (mut request, length) = read_head(&mut stream).await?;
        let fault = self.fault.lock().expect("no panic").clone();
        let fault = fault.filter(|(bucket, _)| *bucket == request.bucket);
        let fault = fault.map(|(_, fault)| fault);
        if fault.is_some() && request.method == "PUT" {
            self.counts.lock().expect("no panic").faults += 1;
        }
        if fault == Some(Fault::ResetInBody) {
            let mut half = vec![0; length / 2];
            stream.read_exact(&mut half).await?;
            // What was sent and not read makes the system reset the connection.
            return Ok(());
        }
        request.body = vec![0; length];
        stream.read_exact(&mut request.body).await?;
        if request.method != "PUT" {
            let answer = error_answer(403, "AccessDenied");
            return stream.write_all(answer.as_bytes()).await;
        }
        let stored = match fault {
            Some(
                Fault::StoredInSilence
                | Fault::StoredCutAnswer
                | Fault::StoredSlowAnswer
                | Fault::StoredOtherChecksum,
            )
            | None => self.store(&request).await,
            Some(_) => String::new(),
        };
        answer(&mut stream, fault, &stored).await
    }

    /// Stores as S3 does; the answer.
    async fn store(&self, request: &Request) -> String {
        let body = Bytes::from(request.body.clone());
        let sha256 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &body);
        let checksum = base64::encode(sha256);
        if request.header("x-amz-checksum-sha256") != Some(&checksum) {
            self.counts.lock().expect("no panic").damaged += 1;
            return error_answer(400, "BadDigest");
        }
        let object = NewObject {
            bucket: request.bucket.clone(),
            key: request.key.clone(),
            body: ObjectBody::Bytes(body),
            sha256: sha256.as_ref().try_into().expect("32 bytes"),
            metadata: request.metadata(),
            content_type: None,
            content_encoding: None,
            gives_owner_full_control: false,
            encryption: None,
            if_none_match: request.header("if-none-match") == Some("*"),
        };
        match self.objects.put_new(&object, &S3Purpose::Command).await {
            Ok(PutOutcome::Created) => success(&checksum, ""),
            Ok(PutOutcome::AlreadyThere) => error_answer(412, "PreconditionFailed"),
            Err(failure) => error_answer(failure.http_status.unwrap_or(500), &failure.code),
        }
    }
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn metadata(&self) -> Vec<(String, String)> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let metadata = lines.filter_map(|(name, value)| {
            let name = name.to_ascii_lowercase();
            let name = name.strip_prefix("x-amz-meta-")?;
            Some((name.to_owned(), value.trim().to_owned()))
        });
        metadata.collect()
    }
}

async fn answer(stream: &mut TcpStream, fault: Option<Fault>, stored: &str) -> io::Result<()> {
    let told = match fault {
        None => stored.to_owned(),
        Some(Fault::Refusal(status, code)) => error_answer(status, code),
        Some(Fault::Silence | Fault::StoredInSilence) => {
            // Until the client gives up.
            stream.read_u8().await?;
            return Ok(());
        }
        Some(Fault::ResetInBody) => String::new(),
        Some(Fault::CutAnswer) => "HTTP/1.1 20".to_owned(),
        Some(Fault::StoredCutAnswer) => {
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<Put".to_owned()
        }
        Some(Fault::StoredSlowAnswer) => {
            stream.write_all(b"H").await?;
            stream.read_u8().await?;
            return Ok(());
        }
        Some(Fault::ErrorInSuccess) => success("", &error_document("InternalError")),
        Some(Fault::StoredOtherChecksum) => success(&base64::encode([7; 32]), ""),
    };
    stream.write_all(told.as_bytes()).await?;
    stream.shutdown().await
}

async fn read_head(stream: &mut TcpStream) -> io::Result<(Request, usize)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).expect("heads are ASCII");
    let mut words = head.split_whitespace();
    let method = words.next().expect("a method").to_owned();
    let target = words.next().expect("a target");
    let path = target.split('?').next().expect("a path");
    let (bucket, key) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let request = Request {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        method,
        body: Vec::new(),
        head: head.clone(),
    };
    let length = request.header("content-length").unwrap_or("0");
    let length = length.parse().expect("a number");
    Ok((request, length))
}

fn success(checksum: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nETag: \"1\"\r\nx-amz-checksum-sha256: {checksum}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn error_answer(status: u16, code: &str) -> String {
    let body = error_document(code);
    format!(
        "HTTP/1.1 {status} Told\r\nConnection: close\r\nContent-Type: application/xml\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn error_document(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>told</Message></Error>")
}
