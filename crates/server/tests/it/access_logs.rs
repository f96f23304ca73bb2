//! Access logs of buckets, from requests over HTTP to the objects in the target bucket.

use cairn_access::sigv4::sha256_hex;
use cairn_testkit::{Answer, SignedClient, TestApp, TestAppBuilder};
use serde_json::json;

use crate::sessions::{allow, user};

const KEYS: (&str, &str) = ("<Key>", "</Key>");

fn enabled(target: &str) -> String {
    format!(
        "<BucketLoggingStatus><LoggingEnabled><TargetBucket>{target}</TargetBucket>\
         <TargetPrefix>p/</TargetPrefix></LoggingEnabled></BucketLoggingStatus>"
    )
}

fn policy(source: &str) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": "arn:aws:s3:::logs/p/*",
            "Condition": {
                "ArnLike": {"aws:SourceArn": format!("arn:aws:s3:::{source}")},
                "StringEquals": {"aws:SourceAccount": "123456789012"},
            },
        }],
    })
    .to_string()
}

async fn sent(client: &SignedClient, (method, path): (&str, &str), body: &str) -> Answer {
    if method == "PUT" {
        let hash = sha256_hex(body.as_bytes());
        return client.s3_upload(path, &[], (&hash, body.as_bytes())).await;
    }
    client.s3(method, path, &[]).await
}

async fn done(client: &SignedClient, method: &str, path: &str, body: &str) -> Answer {
    let answer = sent(client, (method, path), body).await;
    assert!(answer.status < 300, "{method} {path}: {}", answer.text());
    answer
}

/// Two buckets, `data` and `logs`, with the requests of the first logged into the second.
async fn start() -> (TestApp, SignedClient) {
    // Nothing is delivered before the server stops.
    let builder = TestAppBuilder::default().with("s3.access_log_interval", "1d");
    let app = builder.start().await;
    let client = app.bucket_client_of(app.client().credentials);
    done(&client, "PUT", "/data", "").await;
    done(&client, "PUT", "/logs", "").await;
    done(&client, "PUT", "/logs?policy", &policy("data")).await;
    done(&client, "PUT", "/data?logging", &enabled("logs")).await;
    (app, client)
}

/// The lines that are in the target once the server has been stopped, each in its fields.
async fn lines(app: TestApp) -> Vec<Vec<String>> {
    let app = app.restart().await;
    let client = app.bucket_client_of(app.client().credentials);
    let listed = done(&client, "GET", "/logs?list-type=2&prefix=p/", "")
        .await
        .text();
    let mut lines = Vec::new();
    for rest in listed.split(KEYS.0).skip(1) {
        let key = rest.split(KEYS.1).next().expect("a whole element");
        let object = done(&client, "GET", &format!("/logs/{key}"), "").await;
        lines.extend(object.text().lines().map(fields));
    }
    app.stop().await;
    lines
}

/// Quotation marks and brackets hold fields with spaces.
fn fields(line: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (end, start) = match rest.as_bytes()[0] {
            b'"' => ("\" ", 1),
            b'[' => ("] ", 1),
            _ => (" ", 0),
        };
        let (field, left) = rest[start..]
            .split_once(end)
            .unwrap_or((&rest[start..], ""));
        fields.push(field.to_owned());
        rest = left;
    }
    fields
}

#[tokio::test]
async fn every_request_about_a_logged_bucket_is_a_line_whatever_its_outcome() {
    let (app, client) = start().await;
    let agent = [("user-agent", "reader/1.0"), ("referer", "http://a/")];
    let body = b"0123456789";
    let hash = sha256_hex(body);
    let put = client.s3_upload("/data/a%20b", &agent, (&hash, body)).await;
    assert_eq!(put.status, 200);
    let range = [("range", "bytes=2-5")];
    let got = client.s3("GET", "/data/a%20b?x-id=GetObject", &range).await;
    assert_eq!((got.status, got.text().as_str()), (206, "2345"));
    let missing = client.s3("GET", "/data/none", &[]).await;
    assert_eq!(missing.status, 404);
    let bob = user(&app, "bob", &allow("sts:*")).await;
    let bob = app.bucket_client_of(bob.credentials);
    assert_eq!(bob.s3("DELETE", "/data/a%20b", &[]).await.status, 403);
    assert_eq!(client.unsigned("GET", "/data/a%20b").await.status, 403);
    let unbuilt = client.s3("GET", "/data?cors", &[]).await;
    assert_eq!(unbuilt.status, 501);
    // Requests about other buckets are in no log.
    done(&client, "PUT", "/logs/other", "x").await;
    let host = app.bucket_address().to_string();
    let lines = lines(app).await;
    let told: Vec<String> = lines
        .iter()
        .map(|line| {
            assert_eq!(line.len(), 26, "{line:?}");
            assert_eq!(
                (line[0].as_str(), line[1].as_str()),
                ("123456789012", "data")
            );
            assert_eq!(
                (line[3].as_str(), line[22].as_str()),
                ("127.0.0.1", host.as_str())
            );
            let who = line[4].rsplit('/').next().unwrap_or_default();
            [
                who, &line[6], &line[7], &line[8], &line[9], &line[10], &line[11], &line[12],
            ]
            .join(" ")
        })
        .collect();
    let at = |start: &str| {
        let found: Vec<_> = told.iter().filter(|line| line.starts_with(start)).collect();
        assert_eq!(found.len(), 1, "{start}: {told:#?}");
        found[0].clone()
    };
    assert!(
        at("admin REST.PUT.LOGGING_STATUS - PUT /data?logging HTTP/1.1 200 -").ends_with(" - -")
    );
    at("admin REST.PUT.OBJECT a%20b PUT /data/a%20b HTTP/1.1 200 - - 10");
    at("admin REST.GET.OBJECT a%20b GET /data/a%20b?x-id=GetObject HTTP/1.1 206 - 4 10");
    at("admin REST.GET.OBJECT none GET /data/none HTTP/1.1 404 NoSuchKey ");
    at("bob REST.DELETE.OBJECT a%20b DELETE /data/a%20b HTTP/1.1 403 AccessDenied ");
    at("- REST.GET.OBJECT a%20b GET /data/a%20b HTTP/1.1 403 AccessDenied ");
    at("admin REST.GET.CORS - GET /data?cors HTTP/1.1 501 NotImplemented ");
    assert_eq!(told.len(), 7, "{told:#?}");
    let line = lines
        .iter()
        .find(|line| line[6] == "REST.PUT.OBJECT")
        .expect("the put");
    assert_eq!(
        (line[15].as_str(), line[16].as_str()),
        ("http://a/", "reader/1.0")
    );
    assert_eq!(line[5], put.header("x-amz-request-id").expect("it is sent"));
    assert_eq!(line[18], put.header("x-amz-id-2").expect("it is sent"));
    assert_eq!(
        (line[19].as_str(), line[21].as_str()),
        ("SigV4", "AuthHeader")
    );
}

#[tokio::test]
async fn a_target_whose_policy_names_another_source_is_refused() {
    let (app, client) = start().await;
    done(&client, "PUT", "/other", "").await;
    let put = ("PUT", "/other?logging");
    let refused = sent(&client, put, &enabled("logs")).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("InvalidTargetBucketForLogging"));
    let abroad = app.bucket_client_of(app.client().credentials);
    let abroad = abroad.in_region("eu-west-1");
    done(&abroad, "PUT", "/abroad", "").await;
    let refused = sent(&abroad, ("PUT", "/abroad?logging"), &enabled("logs")).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.text().contains("CrossLocationLoggingProhibited"));
    done(&client, "PUT", "/logs?policy", &policy("other")).await;
    done(&client, "PUT", put.1, &enabled("logs")).await;
    // The policy counts at delivery too: it does not name the first source any more.
    done(&client, "GET", "/other?list-type=2", "").await;
    done(&client, "GET", "/data?list-type=2", "").await;
    let lines = lines(app).await;
    let mut sources: Vec<&str> = lines.iter().map(|line| line[1].as_str()).collect();
    sources.dedup();
    assert_eq!(sources, ["other"]);
}
