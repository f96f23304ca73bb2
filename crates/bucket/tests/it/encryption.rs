//! SSE-KMS: put, read, copied, uploaded in parts, by default; and refused.

use std::sync::Mutex;

use aws_lc_rs::digest::{SHA256, digest};
use cairn_bucket::{Caller, Denied, EncryptionContext, KeyUse, NewObjectKey, PlainKey};

use crate::{Answer, Fixture};

/// The one key that there is, by its alias and its ARN.
const ALIAS: &str = "alias/ours";
pub(crate) const ARN: &str =
    "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555";
const KMS: (&str, &str) = ("x-amz-server-side-encryption", "aws:kms");
const KEY: (&str, &str) = ("x-amz-server-side-encryption-aws-kms-key-id", ALIAS);
const TEXT: &[u8] = b"the quick brown fox jumps over the lazy dog";

/// A key service with one key. What it wrapped names the data key and is opened for the same context.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    uses: Mutex<Vec<String>>,
    is_disabled: Mutex<bool>,
}

impl Keys {
    pub(crate) fn generate(
        &self,
        caller: &Caller,
        key_id: &str,
        used: KeyUse<'_>,
    ) -> Result<NewObjectKey, Denied> {
        check_key_name(key_id)?;
        let number = self.note("GenerateDataKey", caller, used.context)?;
        let wrapped = format!("{number} {:?}", used.context).into_bytes();
        Ok(NewObjectKey {
            key_arn: ARN.to_owned(),
            plain: plain(&wrapped),
            wrapped,
        })
    }

    pub(crate) fn open(
        &self,
        caller: &Caller,
        wrapped: &[u8],
        used: KeyUse<'_>,
    ) -> Result<PlainKey, Denied> {
        self.note("Decrypt", caller, used.context)?;
        let context = format!(" {:?}", used.context);
        assert!(wrapped.ends_with(context.as_bytes()), "the same context");
        Ok(plain(wrapped))
    }

    fn note(
        &self,
        what: &str,
        caller: &Caller,
        context: &EncryptionContext,
    ) -> Result<usize, Denied> {
        let mut uses = self.uses.lock().expect("unpoisoned");
        uses.push(format!("{what} {}", context["aws:s3:arn"]));
        if *self.is_disabled.lock().expect("unpoisoned") {
            return Err(refused("KMS.DisabledException"));
        }
        if caller.facts::<String>().map(String::as_str) == Some("keyless") {
            return Err(refused("AccessDenied"));
        }
        Ok(uses.len())
    }
}

/// Refuses every name but those of the one key.
pub(crate) fn check_key_name(key_id: &str) -> Result<(), Denied> {
    match key_id {
        ALIAS | ARN => Ok(()),
        _ => Err(refused("KMS.NotFoundException")),
    }
}

fn refused(code: &'static str) -> Denied {
    Denied {
        code,
        message: code.to_owned(),
    }
}

fn plain(wrapped: &[u8]) -> PlainKey {
    let mut key = PlainKey::default();
    key.copy_from_slice(digest(&SHA256, wrapped).as_ref());
    key
}

impl Fixture {
    /// The uses of keys since the last call, by operation and object.
    fn uses(&self) -> Vec<String> {
        let uses = std::mem::take(&mut *self.gatekeeper.keys.uses.lock().expect("unpoisoned"));
        uses.into_iter()
            .map(|told| told.replace("arn:aws:s3:::", ""))
            .collect()
    }

    async fn put_encrypted(&self, uri: &str, bytes: &[u8]) -> Answer {
        self.done("PUT", uri, &[KMS, KEY], bytes).await
    }

    async fn keyless(&self, method: &str, uri: &str, headers: &[(&str, &str)]) -> u16 {
        let mut all = vec![("x-test-caller", "keyless")];
        all.extend_from_slice(headers);
        self.send(method, uri, &all).await.status
    }

    fn lies_nowhere(&self, text: &[u8]) {
        for file in self.body_files() {
            let stored = std::fs::read(file).expect("the file");
            assert!(!stored.windows(text.len()).any(|part| part == text));
        }
    }
}

fn told(answer: &Answer) -> (&str, Option<&str>) {
    let text = |name: &str| answer.headers.get(name)?.to_str().ok();
    let algorithm = text("x-amz-server-side-encryption").expect("every object is encrypted");
    let key = text("x-amz-server-side-encryption-aws-kms-key-id");
    (algorithm, key)
}

const ENCRYPTED: (&str, Option<&str>) = ("aws:kms", Some(ARN));
const MANAGED: (&str, Option<&str>) = ("AES256", None);

// Proves: SEC-319, SEC-361, SEC-371, SEC-372, SEC-373
#[tokio::test]
async fn an_object_is_encrypted_with_a_key_of_its_own() {
    let fixture = Fixture::with_bucket().await;
    let put = fixture.put_encrypted("/bucket/f", TEXT).await;
    assert_eq!(told(&put), ENCRYPTED);
    assert_eq!(fixture.uses(), ["GenerateDataKey bucket/f"]);
    fixture.lies_nowhere(b"quick brown fox");
    let got = fixture.done("GET", "/bucket/f", &[], b"").await;
    assert_eq!((told(&got), got.body.as_slice()), (ENCRYPTED, TEXT));
    let range = [("range", "bytes=4-8")];
    let part = fixture.done("GET", "/bucket/f", &range, b"").await;
    assert_eq!(part.body, b"quick");
    let head = fixture.done("HEAD", "/bucket/f", &[], b"").await;
    assert_eq!(told(&head), ENCRYPTED);
    assert_eq!(fixture.uses(), ["Decrypt bucket/f", "Decrypt bucket/f"]);
    // The same bytes have another entity tag each time: it must not tell what is in an object.
    let again = fixture.put_encrypted("/bucket/g", TEXT).await;
    assert_ne!(again.header("etag"), put.header("etag"));
    assert_eq!(got.header("etag"), put.header("etag"));
    let fixture = fixture.restart().await;
    let got = fixture.done("GET", "/bucket/f", &[], b"").await;
    assert_eq!((told(&got), got.body.as_slice()), (ENCRYPTED, TEXT));
}

#[tokio::test]
async fn a_context_of_the_callers_is_kept_and_told() {
    let fixture = Fixture::with_bucket().await;
    let context = (
        "x-amz-server-side-encryption-context",
        "eyJ0ZWFtIjoiYmx1ZSJ9",
    );
    let put = fixture
        .done("PUT", "/bucket/f", &[KMS, KEY, context], TEXT)
        .await;
    let json = br#"{"aws:s3:arn":"arn:aws:s3:::bucket/f","team":"blue"}"#;
    let expected = base64_of(json);
    assert_eq!(put.header(context.0), expected);
    assert_eq!(fixture.done("GET", "/bucket/f", &[], b"").await.body, TEXT);
}

#[tokio::test]
async fn nobody_chooses_the_object_that_a_key_is_bound_to() {
    let fixture = Fixture::with_bucket().await;
    for (json, is_refused) in [
        (r#"{"aws:s3:arn":"arn:aws:s3:::bucket/f"}"#, false),
        (r#"{"aws:s3:arn":"arn:aws:s3:::bucket/other"}"#, true),
        (r#"{"AWS:S3:arn":"arn:aws:s3:::bucket/f"}"#, true),
    ] {
        let value = base64_of(json.as_bytes());
        let context = ("x-amz-server-side-encryption-context", value.as_str());
        let headers = [KMS, KEY, context];
        if is_refused {
            let expected = (400, "InvalidArgument");
            let put = ("PUT", "/bucket/g");
            fixture.refused(put, &headers, TEXT, expected).await;
        } else {
            fixture.done("PUT", "/bucket/f", &headers, TEXT).await;
        }
    }
    assert_eq!(fixture.uses(), ["GenerateDataKey bucket/f"]);
    assert_eq!(fixture.body_files().len(), 1);
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

// Proves: SEC-320, SEC-321
#[tokio::test]
async fn without_the_key_nothing_is_read_or_written() {
    let fixture = Fixture::with_bucket().await;
    fixture.put_encrypted("/bucket/f", TEXT).await;
    fixture.done("PUT", "/bucket/plain", &[], TEXT).await;
    assert_eq!(fixture.keyless("GET", "/bucket/f", &[]).await, 403);
    let checksum = [("x-amz-checksum-mode", "ENABLED")];
    assert_eq!(fixture.keyless("HEAD", "/bucket/f", &checksum).await, 403);
    assert_eq!(fixture.keyless("HEAD", "/bucket/f", &[]).await, 200);
    assert_eq!(fixture.keyless("GET", "/bucket/plain", &[]).await, 200);
    let source = ("x-amz-copy-source", "/bucket/f");
    assert_eq!(fixture.keyless("PUT", "/bucket/g", &[source]).await, 403);
    assert_eq!(fixture.keyless("PUT", "/bucket/g", &[KMS, KEY]).await, 403);
    *fixture
        .gatekeeper
        .keys
        .is_disabled
        .lock()
        .expect("unpoisoned") = true;
    let code = (400, "KMS.DisabledException");
    fixture.refused(("GET", "/bucket/f"), &[], b"", code).await;
    fixture
        .refused(("PUT", "/bucket/g"), &[KMS, KEY], TEXT, code)
        .await;
    assert_eq!(fixture.body_files().len(), 2, "nothing was written");
    *fixture
        .gatekeeper
        .keys
        .is_disabled
        .lock()
        .expect("unpoisoned") = false;
    assert_eq!(fixture.done("GET", "/bucket/f", &[], b"").await.body, TEXT);
}

/// Headers of a request, and the status and code of its refusal.
type Wish<'a> = (&'a [(&'a str, &'a str)], (u16, &'a str));

#[tokio::test]
async fn wishes_that_are_not_granted_are_refused() {
    let fixture = Fixture::with_bucket().await;
    let other_key = (
        "x-amz-server-side-encryption-aws-kms-key-id",
        "alias/theirs",
    );
    let bucket_key = |value| ("x-amz-server-side-encryption-bucket-key-enabled", value);
    let context = |value| ("x-amz-server-side-encryption-context", value);
    let algorithm = |value| ("x-amz-server-side-encryption", value);
    let cases: [Wish<'_>; 9] = [
        (&[KMS], (400, "KMS.NotFoundException")),
        (&[KMS, other_key], (400, "KMS.NotFoundException")),
        (&[KMS, KEY, bucket_key("true")], (501, "NotImplemented")),
        (&[KMS, KEY, bucket_key("1")], (400, "InvalidArgument")),
        (&[KMS, KEY, context("e30")], (400, "InvalidArgument")),
        (&[context("e30=")], (400, "InvalidArgument")),
        (&[KEY], (400, "InvalidArgument")),
        (&[algorithm("AES256"), KEY], (400, "InvalidArgument")),
        (&[algorithm("aws:kms:dsse"), KEY], (501, "NotImplemented")),
    ];
    for (headers, expected) in cases {
        let put = ("PUT", "/bucket/f");
        fixture.refused(put, headers, TEXT, expected).await;
    }
    assert!(fixture.body_files().is_empty());
}

#[tokio::test]
async fn copies_change_from_each_kind_to_each() {
    let fixture = Fixture::with_bucket().await;
    fixture.put_encrypted("/bucket/kms", TEXT).await;
    fixture.done("PUT", "/bucket/plain", &[], TEXT).await;
    fixture.uses();
    for (source, headers, expected, uses) in [
        (
            "/bucket/kms",
            vec![KMS, KEY],
            ENCRYPTED,
            vec!["Decrypt bucket/kms", "GenerateDataKey bucket/copy"],
        ),
        ("/bucket/kms", vec![], MANAGED, vec!["Decrypt bucket/kms"]),
        (
            "/bucket/plain",
            vec![KMS, KEY],
            ENCRYPTED,
            vec!["GenerateDataKey bucket/copy"],
        ),
        ("/bucket/plain", vec![], MANAGED, vec![]),
    ] {
        let mut headers = headers;
        headers.push(("x-amz-copy-source", source));
        let copied = fixture.done("PUT", "/bucket/copy", &headers, b"").await;
        assert_eq!(told(&copied), expected, "{source}");
        assert_eq!(fixture.uses(), uses, "{source}");
        let got = fixture.done("GET", "/bucket/copy", &[], b"").await;
        assert_eq!((told(&got), got.body.as_slice()), (expected, TEXT));
        fixture.uses();
    }
    // An object may be copied to itself to change its encryption.
    let itself = ("x-amz-copy-source", "/bucket/plain");
    let refused = ("PUT", "/bucket/plain");
    fixture
        .refused(refused, &[itself], b"", (400, "InvalidRequest"))
        .await;
    let headers = [itself, KMS, KEY];
    fixture.done("PUT", "/bucket/plain", &headers, b"").await;
    let got = fixture.done("GET", "/bucket/plain", &[], b"").await;
    assert_eq!((told(&got), got.body.as_slice()), (ENCRYPTED, TEXT));
}

#[tokio::test]
async fn the_parts_of_an_upload_share_its_key() {
    let fixture = Fixture::with_bucket().await;
    fixture.put_encrypted("/bucket/source", TEXT).await;
    fixture.uses();
    let begun = fixture
        .done("POST", "/bucket/f?uploads", &[KMS, KEY], b"")
        .await;
    assert_eq!(told(&begun), ENCRYPTED);
    assert_eq!(fixture.uses(), ["GenerateDataKey bucket/f"]);
    let id = begun.between("<UploadId>", "<").pop().expect("an ID");
    let part = |number: u32| format!("/bucket/f?uploadId={id}&partNumber={number}");
    let own = ("PUT", part(1));
    fixture
        .refused((own.0, &own.1), &[KMS], b"x", (400, "InvalidArgument"))
        .await;
    let first = vec![7; 5 * 1024 * 1024];
    let one = fixture.done("PUT", &part(1), &[], &first).await;
    assert_eq!(told(&one), ENCRYPTED);
    let copied = [("x-amz-copy-source", "/bucket/source")];
    let two = fixture.done("PUT", &part(2), &copied, b"").await;
    assert_eq!(told(&two), ENCRYPTED);
    let uses = [
        "Decrypt bucket/f",
        "Decrypt bucket/source",
        "Decrypt bucket/f",
    ];
    assert_eq!(fixture.uses(), uses);
    assert_eq!(fixture.keyless("PUT", &part(3), &[]).await, 403);
    let tags = [
        one.header("etag").to_owned(),
        two.between("<ETag>", "<").pop().expect("a tag"),
    ];
    let parts = tags.iter().zip(1..).map(|(tag, number)| {
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>")
    });
    let wanted = format!(
        "<CompleteMultipartUpload>{}</CompleteMultipartUpload>",
        parts.collect::<String>()
    );
    let uri = format!("/bucket/f?uploadId={id}");
    let done = fixture.done("POST", &uri, &[], wanted.as_bytes()).await;
    assert_eq!(told(&done), ENCRYPTED);
    fixture.uses();
    let across = [("range", "bytes=5242878-5242882")];
    let got = fixture.done("GET", "/bucket/f", &across, b"").await;
    assert_eq!(
        (told(&got), got.body.as_slice()),
        (ENCRYPTED, b"\x07\x07the".as_slice())
    );
    assert_eq!(
        fixture.uses(),
        ["Decrypt bucket/f"],
        "one key for all parts"
    );
    fixture.lies_nowhere(b"quick brown fox");
}

#[tokio::test]
async fn a_bucket_can_encrypt_by_default() {
    let fixture = Fixture::with_bucket().await;
    let rule = |key: &str, rest: &str| {
        format!(
            "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
             <KMSMasterKeyID>{key}</KMSMasterKeyID><SSEAlgorithm>aws:kms</SSEAlgorithm>\
             </ApplyServerSideEncryptionByDefault>{rest}</Rule></ServerSideEncryptionConfiguration>"
        )
    };
    let uri = "/bucket?encryption";
    let bucket_key = rule(ALIAS, "<BucketKeyEnabled>true</BucketKeyEnabled>");
    for (document, expected) in [
        (rule("alias/theirs", ""), (400, "KMS.NotFoundException")),
        (bucket_key, (501, "NotImplemented")),
        (
            rule(ALIAS, "").replace("aws:kms", "AES256"),
            (400, "InvalidArgument"),
        ),
        (
            rule(ALIAS, "").replace("aws:kms", "aws:kms:dsse"),
            (501, "NotImplemented"),
        ),
    ] {
        fixture
            .refused(("PUT", uri), &[], document.as_bytes(), expected)
            .await;
    }
    let off = "<BucketKeyEnabled>false</BucketKeyEnabled>";
    fixture
        .done("PUT", uri, &[], rule(ALIAS, off).as_bytes())
        .await;
    let fixture = fixture.restart().await;
    let set = fixture.done("GET", uri, &[], b"").await;
    assert_eq!(set.between("<SSEAlgorithm>", "<"), ["aws:kms"]);
    assert_eq!(set.between("<KMSMasterKeyID>", "<"), [ALIAS]);
    let put = fixture.done("PUT", "/bucket/f", &[], TEXT).await;
    assert_eq!(told(&put), ENCRYPTED);
    assert_eq!(fixture.keyless("PUT", "/bucket/g", &[]).await, 403);
    let managed = [("x-amz-server-side-encryption", "AES256")];
    let put = fixture.done("PUT", "/bucket/g", &managed, TEXT).await;
    assert_eq!(told(&put), MANAGED, "a request has the last word");
    fixture.done("DELETE", uri, &[], b"").await;
    let put = fixture.done("PUT", "/bucket/h", &[], TEXT).await;
    assert_eq!(told(&put), MANAGED);
    let got = fixture.done("GET", "/bucket/f", &[], b"").await;
    assert_eq!(told(&got), ENCRYPTED, "what is there stays as it is");
}

#[tokio::test]
async fn bodies_do_not_open_in_each_others_place() {
    let fixture = Fixture::with_bucket().await;
    let on = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    fixture.done("PUT", "/bucket?versioning", &[], on).await;
    let before = fixture.put_encrypted("/bucket/f", TEXT).await;
    let old = fixture.body_files().pop().expect("a body");
    fixture.put_encrypted("/bucket/f", TEXT).await;
    let version = before.header("x-amz-version-id");
    let uri = format!("/bucket/f?versionId={version}");
    assert_eq!(fixture.done("GET", &uri, &[], b"").await.body, TEXT);
    let files = fixture.body_files();
    let new = files.iter().find(|file| **file != old).expect("a body");
    std::fs::copy(&old, new).expect("room");
    let get = ("GET", "/bucket/f");
    fixture.refused(get, &[], b"", (500, "InternalError")).await;
}
