//! Buckets as a whole and what can be set of them.

use crate::Fixture;

// Proves: TRL-281
#[tokio::test]
async fn a_name_is_taken_once_by_whomever() {
    let fixture = Fixture::with_bucket().await;
    let put = ("PUT", "/bucket");
    fixture
        .refused(put, &[], b"", (409, "BucketAlreadyOwnedByYou"))
        .await;
    let other = [("x-test-account", "210987654321")];
    fixture
        .refused(put, &other, b"", (409, "BucketAlreadyExists"))
        .await;
    let reserved = ("PUT", "/cairn-lake");
    let answer = fixture.ask(reserved.0, reserved.1, &other, b"").await;
    assert_eq!(answer.status, 405);
    fixture.done("PUT", "/other-bucket", &other, b"").await;
    let own = fixture.done("GET", "/", &[], b"").await;
    assert_eq!(own.between("<Name>", "<"), ["bucket", "cairn-lake"]);
    let theirs = fixture.done("GET", "/", &other, b"").await;
    assert_eq!(theirs.between("<Name>", "<"), ["other-bucket"]);
    for name in ["a_b", "Bucket", "ab", "a..b", "192.168.5.4", "a-.b"] {
        let uri = format!("/{name}");
        fixture
            .refused(("PUT", &uri), &[], b"", (400, "InvalidBucketName"))
            .await;
    }
}

#[tokio::test]
async fn a_bucket_is_where_it_was_made() {
    let fixture = Fixture::with_bucket().await;
    let location = fixture.done("GET", "/bucket?location", &[], b"").await;
    assert!(location.text().contains("eu-west-1"), "{}", location.text());
    let head = fixture.done("HEAD", "/bucket", &[], b"").await;
    assert_eq!(head.header("x-amz-bucket-region"), "eu-west-1");
    let wanted = b"<CreateBucketConfiguration><LocationConstraint>ap-south-1</LocationConstraint>\
                   </CreateBucketConfiguration>";
    let code = "IllegalLocationConstraintException";
    fixture
        .refused(("PUT", "/elsewhere"), &[], wanted, (400, code))
        .await;
}

#[tokio::test]
async fn only_an_empty_bucket_goes() {
    let fixture = Fixture::with_bucket().await;
    fixture.done("PUT", "/bucket/f", &[], b"1").await;
    let delete = ("DELETE", "/bucket");
    fixture
        .refused(delete, &[], b"", (409, "BucketNotEmpty"))
        .await;
    fixture.done("DELETE", "/bucket/f", &[], b"").await;
    let begun = fixture.done("POST", "/bucket/f?uploads", &[], b"").await;
    let id = begun.between("<UploadId>", "<").pop().expect("an ID");
    let uri = format!("/bucket/f?uploadId={id}&partNumber=1");
    fixture.done("PUT", &uri, &[], b"abc").await;
    fixture.done("DELETE", "/bucket", &[], b"").await;
    assert!(fixture.body_files().is_empty());
    for (method, uri) in [
        ("PUT", "/bucket/f"),
        ("HEAD", "/bucket"),
        ("GET", "/bucket?versions"),
    ] {
        let gone = fixture.ask(method, uri, &[], b"1").await;
        assert_eq!(gone.status, 404, "{method} {uri}");
    }
}

#[tokio::test]
async fn policies_are_checked_kept_and_told() {
    let fixture = Fixture::with_bucket().await;
    let missing = ("GET", "/bucket?policy");
    fixture
        .refused(missing, &[], b"", (404, "NoSuchBucketPolicy"))
        .await;
    let put = ("PUT", "/bucket?policy");
    fixture
        .refused(put, &[], b"{}", (400, "MalformedPolicy"))
        .await;
    let policy = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::bucket/*"}]}"#;
    fixture
        .done("PUT", "/bucket?policy", &[], policy.as_bytes())
        .await;
    let told = fixture.done("GET", "/bucket?policy", &[], b"").await;
    assert_eq!(told.text(), policy);
    let facts = fixture.buckets.facts("bucket").await.expect("a read");
    assert_eq!(facts.expect("it is there").policy.as_deref(), Some(policy));
    let status = fixture.done("GET", "/bucket?policyStatus", &[], b"").await;
    assert!(
        status.text().contains("<IsPublic>false</IsPublic>"),
        "{}",
        status.text()
    );
    fixture.done("DELETE", "/bucket?policy", &[], b"").await;
    fixture
        .refused(missing, &[], b"", (404, "NoSuchBucketPolicy"))
        .await;
}

#[tokio::test]
async fn public_policies_are_blocked_or_restricted() {
    let fixture = Fixture::with_bucket().await;
    let policy = br#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}"#;
    fixture
        .refused(
            ("PUT", "/bucket?policy"),
            &[],
            policy,
            (403, "AccessDenied"),
        )
        .await;
    let block = |policy: bool, restrict: bool| {
        format!(
            "<PublicAccessBlockConfiguration><BlockPublicPolicy>{policy}</BlockPublicPolicy>\
             <RestrictPublicBuckets>{restrict}</RestrictPublicBuckets>\
             </PublicAccessBlockConfiguration>"
        )
    };
    let uri = "/bucket?publicAccessBlock";
    fixture
        .done("PUT", uri, &[], block(false, false).as_bytes())
        .await;
    fixture.done("PUT", "/bucket?policy", &[], policy).await;
    fixture.done("PUT", "/bucket/f", &[], b"abc").await;
    let other = [("x-test-account", "210987654321")];
    fixture.done("GET", "/bucket/f", &other, b"").await;
    fixture
        .done("PUT", uri, &[], block(false, true).as_bytes())
        .await;
    fixture
        .refused(("GET", "/bucket/f"), &other, b"", (403, "AccessDenied"))
        .await;
    fixture.done("GET", "/bucket/f", &[], b"").await;
    let told = fixture.done("GET", uri, &[], b"").await;
    assert!(
        told.text().contains("<RestrictPublicBuckets>true<"),
        "{}",
        told.text()
    );
    fixture.done("DELETE", uri, &[], b"").await;
    let code = "NoSuchPublicAccessBlockConfiguration";
    fixture.refused(("GET", uri), &[], b"", (404, code)).await;
}

#[tokio::test]
async fn the_owner_has_all_control_and_nobody_else() {
    let fixture = Fixture::with_bucket().await;
    fixture.done("PUT", "/bucket/f", &[], b"1").await;
    for uri in ["/bucket?acl", "/bucket/f?acl"] {
        let list = fixture.done("GET", uri, &[], b"").await;
        assert_eq!(
            list.between("<Permission>", "<"),
            ["FULL_CONTROL"],
            "{}",
            list.text()
        );
        fixture
            .done("PUT", uri, &[("x-amz-acl", "private")], b"")
            .await;
        let public = [("x-amz-acl", "public-read")];
        let code = "AccessControlListNotSupported";
        fixture
            .refused(("PUT", uri), &public, b"", (400, code))
            .await;
    }
    let ownership = fixture
        .done("GET", "/bucket?ownershipControls", &[], b"")
        .await;
    assert!(ownership.text().contains("BucketOwnerEnforced"));
    let wanted = b"<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>\
                   </OwnershipControls>";
    let put = ("PUT", "/bucket?ownershipControls");
    fixture
        .refused(put, &[], wanted, (501, "NotImplemented"))
        .await;
}

#[tokio::test]
async fn encryption_is_what_it_says() {
    let fixture = Fixture::with_bucket().await;
    let rule = |algorithm: &str| {
        format!(
            "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
             <SSEAlgorithm>{algorithm}</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>\
             </ServerSideEncryptionConfiguration>"
        )
    };
    let uri = "/bucket?encryption";
    fixture
        .done("PUT", uri, &[], rule("AES256").as_bytes())
        .await;
    let told = fixture.done("GET", uri, &[], b"").await;
    assert_eq!(told.between("<SSEAlgorithm>", "<"), ["AES256"]);
    let code = "KMS.NotFoundException";
    fixture
        .refused(("PUT", uri), &[], rule("aws:kms").as_bytes(), (400, code))
        .await;
    fixture.done("DELETE", uri, &[], b"").await;
    fixture
        .done("PUT", "/bucket/f", &[], b"plain text of an object")
        .await;
    let stored = std::fs::read(&fixture.body_files()[0]).expect("the file");
    assert!(!stored.windows(10).any(|part| part == b"plain text"));
}

#[tokio::test]
async fn versioning_goes_on_and_off_but_not_away() {
    let fixture = Fixture::with_bucket().await;
    let uri = "/bucket?versioning";
    let told = fixture.done("GET", uri, &[], b"").await;
    assert!(!told.text().contains("<Status>"));
    let mfa = b"<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>\
                </VersioningConfiguration>";
    fixture
        .refused(("PUT", uri), &[], mfa, (501, "NotImplemented"))
        .await;
    for status in ["Enabled", "Suspended"] {
        let wanted =
            format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
        fixture.done("PUT", uri, &[], wanted.as_bytes()).await;
        let told = fixture.done("GET", uri, &[], b"").await;
        assert_eq!(told.between("<Status>", "<"), [status]);
    }
    let none = b"<VersioningConfiguration></VersioningConfiguration>";
    let code = "IllegalVersioningConfigurationException";
    fixture.refused(("PUT", uri), &[], none, (400, code)).await;
}

#[tokio::test]
async fn tags_are_set_told_and_bounded() {
    let fixture = Fixture::with_bucket().await;
    fixture.done("PUT", "/bucket/f", &[], b"1").await;
    let set = |pairs: &[(&str, &str)]| {
        let tags = pairs
            .iter()
            .map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"));
        let tags: String = tags.collect();
        format!("<Tagging><TagSet>{tags}</TagSet></Tagging>")
    };
    fixture
        .refused(("GET", "/bucket?tagging"), &[], b"", (404, "NoSuchTagSet"))
        .await;
    let many: Vec<String> = (0..11).map(|number| format!("k{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "v")).collect();
    for uri in ["/bucket?tagging", "/bucket/f?tagging"] {
        fixture
            .done("PUT", uri, &[], set(&[("a", "1"), ("b", "2")]).as_bytes())
            .await;
        let told = fixture.done("GET", uri, &[], b"").await;
        assert_eq!(told.between("<Key>", "<"), ["a", "b"]);
        for bad in [
            vec![("a", "1"), ("a", "2")],
            vec![("aws:x", "1")],
            vec![("", "1")],
        ] {
            let body = set(&bad);
            fixture
                .refused(("PUT", uri), &[], body.as_bytes(), (400, "InvalidTag"))
                .await;
        }
    }
    let over = ("PUT", "/bucket/f?tagging");
    fixture
        .refused(over, &[], set(&many).as_bytes(), (400, "BadRequest"))
        .await;
    fixture.done("DELETE", "/bucket/f?tagging", &[], b"").await;
    let told = fixture.done("GET", "/bucket/f?tagging", &[], b"").await;
    assert!(told.between("<Key>", "<").is_empty());
    fixture.done("DELETE", "/bucket?tagging", &[], b"").await;
    fixture
        .refused(("GET", "/bucket?tagging"), &[], b"", (404, "NoSuchTagSet"))
        .await;
}
