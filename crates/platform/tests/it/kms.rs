//! The client of a configured KMS: what it asks, and what it makes of every answer.

use std::collections::BTreeMap;

use aws_smithy_types::base64;
use cairn_platform::{
    KmsClient, S3Failure, S3Timeouts, ServiceAddress, ServiceConfig, ServiceFailure,
};

use crate::s3::credentials;
use crate::s3::fake_endpoint::{Answer, FakeEndpoint};

const REGION: &str = "eu-west-1";
const KEY: &str = "arn:aws:kms:eu-west-1:111111111111:key/11111111-2222-3333-4444-555555555555";

fn json(status: &str, body: &str) -> Answer {
    Answer::new(status, &["Content-Type: application/x-amz-json-1.1"], body)
}

fn client(url: &str) -> KmsClient {
    let client = KmsClient::new(&ServiceConfig {
        name: "kms".to_owned(),
        addresses: vec![ServiceAddress {
            region: Some(REGION.to_owned()),
            url: url.to_owned(),
        }],
        credentials: credentials(),
        ca_file: None,
        timeouts: S3Timeouts::default(),
    });
    client.expect("a client")
}

fn context() -> BTreeMap<String, String> {
    [("aws:s3:arn".to_owned(), "arn:aws:s3:::b/k".to_owned())].into()
}

async fn failure(answer: Answer) -> ServiceFailure {
    let endpoint = FakeEndpoint::start(vec![answer]).await;
    let asked = client(&endpoint.url);
    let failed = asked.generate_data_key(REGION, KEY, &context()).await;
    failed.expect_err("it is refused")
}

// Proves: SEC-371, SEC-378
#[tokio::test]
async fn data_keys_are_made_and_opened_for_a_context() {
    let plain = base64::encode([7; 32]);
    let made = format!(
        r#"{{"KeyId":"{KEY}","Plaintext":"{plain}","CiphertextBlob":"{}"}}"#,
        base64::encode(b"wrapped")
    );
    let opened = format!(r#"{{"KeyId":"{KEY}","Plaintext":"{plain}"}}"#);
    let endpoint = FakeEndpoint::start(vec![json("200 OK", &made), json("200 OK", &opened)]).await;
    let kms = client(&endpoint.url);
    let made = kms.generate_data_key(REGION, KEY, &context()).await;
    let made = made.expect("a data key");
    assert_eq!((made.key_arn.as_str(), *made.plain), (KEY, [7; 32]));
    assert_eq!(made.wrapped, b"wrapped");
    assert!(!format!("{made:?}").contains("7, 7"), "no key in a log");
    let wrapped = (made.wrapped.as_slice(), KEY);
    let opened = kms.decrypt(REGION, wrapped, &context()).await;
    assert_eq!(*opened.expect("a data key").plain, [7; 32]);
    for (asked, target) in endpoint.asked().iter().zip(["GenerateDataKey", "Decrypt"]) {
        let expected = format!("TrentService.{target}");
        assert_eq!(asked.header("x-amz-target"), Some(expected.as_str()));
        let body = String::from_utf8(asked.body.clone()).expect("JSON");
        let context = r#""EncryptionContext":{"aws:s3:arn":"arn:aws:s3:::b/k"}"#;
        assert!(body.contains(context), "{body}");
        assert!(body.contains(&format!(r#""KeyId":"{KEY}""#)), "{body}");
        let signed = asked.header("authorization").expect("signed");
        assert!(signed.contains("/eu-west-1/kms/aws4_request"), "{signed}");
    }
}

#[tokio::test]
async fn failures_have_kmss_words_and_nothing_is_tried_twice() {
    for code in [
        "DisabledException",
        "NotFoundException",
        "AccessDeniedException",
    ] {
        let body = format!(r#"{{"__type":"{code}","message":"told"}}"#);
        assert_eq!(failure(json("400 Bad Request", &body)).await.code, code);
    }
    let short = format!(
        r#"{{"KeyId":"{KEY}","Plaintext":"{}","CiphertextBlob":"AAAA"}}"#,
        base64::encode([7; 16])
    );
    let answer = failure(json("200 OK", &short)).await;
    assert_eq!(answer.code, S3Failure::INVALID_ANSWER);
    let unwrapped = format!(
        r#"{{"KeyId":"{KEY}","Plaintext":"{}"}}"#,
        base64::encode([7; 32])
    );
    let answer = failure(json("200 OK", &unwrapped)).await;
    assert_eq!(answer.code, S3Failure::INVALID_ANSWER);
    let long = format!(
        r#"{{"KeyId":"{KEY}","Plaintext":"{}","CiphertextBlob":"{}"}}"#,
        base64::encode([7; 32]),
        base64::encode([7; 6_145])
    );
    let answer = failure(json("200 OK", &long)).await;
    assert_eq!(answer.code, S3Failure::INVALID_ANSWER);
}

#[tokio::test]
async fn only_regions_with_an_address_are_asked() {
    let endpoint = FakeEndpoint::start(Vec::new()).await;
    let kms = client(&endpoint.url);
    let failed = kms.describe("us-east-1", KEY).await;
    let failure = failed.expect_err("no address");
    assert_eq!(failure.code, ServiceFailure::NOT_CONFIGURED);
}

// Proves: R22
#[tokio::test]
async fn no_redirect_is_followed() {
    let elsewhere = FakeEndpoint::start(vec![json("200 OK", "{}")]).await;
    for status in ["302 Found", "307 Temporary Redirect"] {
        let location = format!("Location: {}/", elsewhere.url);
        failure(Answer::new(status, &[&location], "")).await;
    }
    assert!(elsewhere.asked().is_empty(), "{:?}", elsewhere.asked());
}
