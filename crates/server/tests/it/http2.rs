//! HTTP/2 frame by frame, as no client library would send them, on both listeners.

use std::net::SocketAddr;

use cairn_testkit::{TestApp, TestAppBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `GET`, `http`, `/` from the static table, and an authority.
const GET_ROOT: &[u8] = b"\x82\x86\x84\x41\x01x";
const POST_ROOT: &[u8] = b"\x83\x86\x84\x41\x01x";

#[derive(Debug)]
struct Frame {
    kind: u8,
    payload: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Sends the preface and `bytes`, and reads frames until the server ends the connection or has answered
/// the first stream.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<Frame> {
    let mut stream = TcpStream::connect(address).await.expect("a listener");
    let hello = [PREFACE, &frame(SETTINGS, 0, 0, &[]), bytes].concat();
    let (mut reading, mut writing) = stream.split();
    // A server that has had enough stops reading, so the end of writing is not waited for.
    let write = async {
        let _ = writing.write_all(&hello).await;
        std::future::pending::<()>().await;
    };
    let read = async {
        let mut frames = Vec::new();
        let mut head = [0; 9];
        while reading.read_exact(&mut head).await.is_ok() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).expect("a short payload")];
            if reading.read_exact(&mut payload).await.is_err() {
                break;
            }
            let answered = head[3] <= HEADERS && head[4] & END_STREAM != 0;
            let kind = head[3];
            frames.push(Frame { kind, payload });
            if answered {
                break;
            }
        }
        frames
    };
    tokio::select! {
        frames = read => frames,
        () = write => Vec::new(),
    }
}

fn goaway_code(frames: &[Frame]) -> Option<u32> {
    let goodbye = frames.iter().rev().find(|frame| frame.kind == GOAWAY)?;
    let code = goodbye.payload.get(4..8)?.try_into().ok()?;
    Some(u32::from_be_bytes(code))
}

fn addresses(app: &TestApp) -> [SocketAddr; 2] {
    [app.address(), app.bucket_address()]
}

// Proves: R18
#[tokio::test]
async fn both_listeners_announce_the_configured_limits() {
    let app = TestAppBuilder::default()
        .with("http.h2_streams_max", "17")
        .with("http.h2_stream_window_bytes", "128KiB")
        .with("http.header_bytes_max", "24KiB")
        .start()
        .await;
    for address in addresses(&app) {
        let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, GET_ROOT);
        let frames = exchange(address, &request).await;
        assert_eq!(frames[0].kind, SETTINGS);
        let announced: Vec<(u16, u32)> = frames[0]
            .payload
            .chunks_exact(6)
            .map(|entry| {
                let name = u16::from_be_bytes([entry[0], entry[1]]);
                let value = u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]);
                (name, value)
            })
            .collect();
        // SETTINGS_MAX_CONCURRENT_STREAMS, _INITIAL_WINDOW_SIZE, _MAX_HEADER_LIST_SIZE
        for limit in [(3, 17), (4, 128 << 10), (6, 24 << 10)] {
            assert!(
                announced.contains(&limit),
                "{limit:?} is not in {announced:?}"
            );
        }
    }
    app.stop().await;
}

// Proves: R18
#[tokio::test]
async fn a_client_that_resets_what_it_asks_is_sent_away() {
    let app = TestApp::start().await;
    for address in addresses(&app) {
        let mut bytes = Vec::new();
        for number in 0..200 {
            let stream = 1 + 2 * number;
            bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, GET_ROOT));
            bytes.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
        }
        let frames = exchange(address, &bytes).await;
        // ENHANCE_YOUR_CALM
        assert_eq!(goaway_code(&frames), Some(11), "{frames:?}");
    }
    app.stop().await;
}

// Proves: R18
#[tokio::test]
async fn headers_without_end_end_the_connection() {
    let app = TestApp::start().await;
    for address in addresses(&app) {
        let many = b"\x00\x01a\x01b".repeat(3_000);
        let mut bytes = frame(HEADERS, END_STREAM, 1, &[GET_ROOT, &many].concat());
        for _ in 0..200 {
            bytes.extend(frame(CONTINUATION, 0, 1, &many));
        }
        let frames = exchange(address, &bytes).await;
        let answered = frames.iter().any(|frame| frame.kind == DATA);
        assert!(!answered, "{frames:?}");
        assert_eq!(app.client().unsigned("GET", "/healthz").await.status, 200);
    }
    app.stop().await;
}

// Proves: R18
#[tokio::test]
async fn too_many_headers_are_refused_however_short() {
    let app = TestApp::start().await;
    for address in addresses(&app) {
        let many = b"\x00\x01a\x01b".repeat(150);
        let block = [GET_ROOT, &many].concat();
        let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block);
        let frames = exchange(address, &request).await;
        let data = frames.iter().find(|frame| frame.kind == DATA);
        let text = String::from_utf8_lossy(&data.expect("an answer").payload).into_owned();
        let expected = if address == app.address() {
            "\"message\":\"the request has too many headers\""
        } else {
            "<Code>RequestHeaderSectionTooLarge</Code>"
        };
        assert!(text.contains(expected), "{text}");
    }
    app.stop().await;
}

// Proves: R18
#[tokio::test]
async fn a_body_of_nothing_but_empty_frames_ends_the_connection() {
    let app = TestApp::start().await;
    let mut bytes = frame(HEADERS, END_HEADERS, 1, POST_ROOT);
    bytes.extend(frame(DATA, 0, 1, &[]).repeat(100_000));
    let frames = exchange(app.address(), &bytes).await;
    assert_eq!(goaway_code(&frames), Some(11), "{frames:?}");
    assert_eq!(app.client().unsigned("GET", "/healthz").await.status, 200);
    app.stop().await;
}
