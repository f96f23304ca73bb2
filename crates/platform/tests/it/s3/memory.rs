//! Buckets in memory, for tests of those who put objects.

use bytes::Bytes;
use cairn_platform::{
    MemoryPuts, NewObject, ObjectBody, ObjectPuts as _, PutOutcome, S3Failure, ScriptedPut,
};

use super::{delivery, object};

#[tokio::test]
async fn buckets_in_memory_keep_what_is_put_and_fail_as_told() {
    let puts = MemoryPuts::new(&["audit"]);
    let lost = S3Failure::new(S3Failure::TIMEOUT, "lost");
    let denied = S3Failure::new("AccessDenied", "no");
    puts.script(
        "audit",
        [
            ScriptedPut::Fail(denied.clone()),
            ScriptedPut::StoreThenFail(lost.clone()),
        ],
    );
    let object = object();
    assert_eq!(puts.put_new(&object, &delivery()).await, Err(denied));
    assert!(puts.objects().is_empty());
    assert_eq!(puts.put_new(&object, &delivery()).await, Err(lost));
    assert_eq!(
        puts.put_new(&object, &delivery()).await,
        Ok(PutOutcome::AlreadyThere)
    );
    assert!(puts.conflicts().is_empty(), "the same bytes");
    let place = (object.bucket.clone(), object.key.clone());
    assert_eq!(puts.objects()[&place].bytes, b"the bytes".as_slice());
    assert_eq!(puts.objects()[&place].purpose, delivery());
    let other = NewObject {
        body: ObjectBody::Bytes(Bytes::from_static(b"")),
        sha256: aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"")
            .as_ref()
            .try_into()
            .expect("32 bytes"),
        ..object.clone()
    };
    assert_eq!(
        puts.put_new(&other, &delivery()).await,
        Ok(PutOutcome::AlreadyThere)
    );
    assert_eq!(puts.conflicts(), [place]);
    assert_eq!(puts.attempts(), 4);
    puts.delete_bucket("audit");
    let failure = puts
        .put_new(&object, &delivery())
        .await
        .expect_err("no bucket");
    assert_eq!(failure.code, "NoSuchBucket");
}
