//! From the log to visible rows, to Iceberg tables, and over a restart.

use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use cairn_eventlog::EventLog;
use cairn_lake::{INSIGHTS_EVENTS, Lake};
use cairn_model::Sequence;

use crate::stage::{
    NOW_MS, PARTITION, Stage, batches_of, check_rows, column, event, event_of, events, history,
    rows_of, texts,
};

async fn visible(lake: &Lake) -> Vec<String> {
    let view = lake.read_view(&history()).expect("the table exists");
    rows_of(lake, &view).await.into_values().collect()
}

// Proves: R5
#[tokio::test]
async fn events_are_visible_at_once_and_committed_later() {
    let stage = Stage::new().await;
    let lake = stage.open().await;
    let sent = events(0..500);
    stage.append(&sent).await;
    lake.ingest().await.expect("it works");
    let view = lake.read_view(&history()).expect("the table exists");
    assert_eq!(view.hot.len(), 1);
    assert!(view.files.is_empty());
    assert_eq!(visible(&lake).await, sent);
    assert_eq!(
        stage.log.start(PARTITION),
        Sequence(0),
        "hot rows are still needed from the log"
    );

    lake.flush().await.expect("it works");
    let view = lake.read_view(&history()).expect("the table exists");
    assert!(view.hot.is_empty());
    assert!(!view.files.is_empty());
    assert_eq!(visible(&lake).await, sent);
    assert_eq!(
        lake.position(&history()).expect("the table exists"),
        Sequence(500)
    );
    assert_eq!(
        stage.log.start(PARTITION),
        Sequence(500),
        "committed rows are not"
    );
}

// Proves: R5, R12
#[tokio::test]
async fn a_restart_goes_on_where_the_tables_end() {
    let stage = Stage::new().await;
    let sent = events(0..300);
    for (start, flush) in [(0, true), (100, false), (200, false)] {
        let lake = stage.open().await;
        stage.append(&sent[start..start + 100]).await;
        lake.ingest().await.expect("it works");
        if flush {
            lake.flush().await.expect("it works");
        }
    }
    let lake = stage.open().await;
    assert_eq!(
        lake.status().tables[0].hot_rows,
        200,
        "hot objects are kept"
    );
    assert_eq!(visible(&lake).await, sent);
    lake.flush().await.expect("it works");
    drop(lake);
    assert_eq!(visible(&*stage.open().await).await, sent);
}

#[tokio::test]
async fn the_running_lake_shows_and_commits_by_the_clock() {
    let stage = Stage::new().await;
    let lake = stage.open().await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn({
        let lake = std::sync::Arc::clone(&lake);
        async move { lake.run(stopped).await }
    });
    let sent = events(0..50);
    stage.append(&sent).await;
    let mut passed = Duration::ZERO;
    let step = Duration::from_millis(10);
    while lake.status().tables[0].hot_rows < 50 {
        stage.clock.advance(step);
        passed += step;
        tokio::task::yield_now().await;
        assert!(
            passed < Duration::from_mins(10),
            "never visible: {:?}",
            lake.status()
        );
    }
    while lake.status().tables[0].committed_rows < 50 {
        stage.clock.advance(step);
        passed += step;
        tokio::task::yield_now().await;
        assert!(
            passed < Duration::from_hours(10),
            "never committed: {:?}",
            lake.status()
        );
    }
    let late = events(50..60);
    stage.append(&late).await;
    stop.send(true).expect("it runs");
    running.await.expect("it ends").expect("it ends well");
    assert_eq!(
        visible(&lake).await.len(),
        60,
        "a stop makes visible what is pending"
    );
}

#[tokio::test]
async fn events_go_where_their_class_says() {
    let stage = Stage::new().await;
    let lake = stage.open().await;
    let day = 24 * 60;
    let insight =
        "{\"eventVersion\":\"1.08\",\"eventTime\":\"2026-11-20T10:00:00Z\",\"awsRegion\":\"us-east-1\",\
         \"eventID\":\"11111111-0000-4000-8000-000000000001\",\"eventType\":\"AwsCloudTrailInsight\",\
         \"recipientAccountId\":\"111111111111\",\"sharedEventID\":\"s\",\"insightDetails\":{\
         \"state\":\"Start\",\"eventSource\":\"ssm.amazonaws.com\",\"eventName\":\"X\",\
         \"insightType\":\"ApiCallRateInsight\",\"insightContext\":{\"statistics\":{}}},\
         \"eventCategory\":\"Insight\"}".to_owned();
    let sent = [
        event(1, 5),
        event_of(2, 5, "Data"),
        event(3, 89 * day),
        event(4, 91 * day),
        insight.clone(),
    ];
    stage.append(&sent).await;
    lake.ingest().await.expect("it works");
    lake.flush().await.expect("it works");
    assert_eq!(visible(&lake).await, [event(1, 5), event(3, 89 * day)]);
    let insights = INSIGHTS_EVENTS.parse().expect("a valid name");
    let view = lake.read_view(&insights).expect("the table exists");
    check_rows(&lake, &view, &[insight]).await;
    let counts = lake.status().counts;
    assert_eq!((counts.unselected, counts.too_old, counts.rows), (1, 1, 3));
}

#[tokio::test]
async fn rows_are_sorted_for_newest_first_readers() {
    let stage = Stage::new().await;
    let lake = stage.open().await;
    for start in [0, 400, 800] {
        // Seven minutes apart: the rows spread over seven days.
        let batch: Vec<_> = (start..start + 400)
            .map(|n| event(n, i64::from(n) * 7))
            .collect();
        stage.append(&batch).await;
        lake.ingest().await.expect("it works");
    }
    for flushed in [false, true] {
        if flushed {
            lake.flush().await.expect("it works");
        }
        let view = lake.read_view(&history()).expect("the table exists");
        let mut rows = 0;
        for batch in batches_of(&lake, &view).await {
            let accounts = texts(&batch, "_account");
            let regions = texts(&batch, "awsregion");
            let times = column(&batch, "eventtime").as_primitive::<TimestampMicrosecondType>();
            let sequences = column(&batch, "_sequence").as_primitive::<Int64Type>();
            let key = |row: usize| {
                (
                    &accounts[row],
                    &regions[row],
                    -times.value(row),
                    -sequences.value(row),
                )
            };
            assert!((1..batch.num_rows()).all(|row| key(row - 1) < key(row)));
            rows += batch.num_rows();
        }
        assert_eq!(rows, 1_200);
        assert_eq!(view.files.len(), if flushed { 7 } else { 0 });
        for file in view.files.iter() {
            let day = |micros: i64| micros.div_euclid(86_400_000_000);
            assert_eq!(day(file.times.0), i64::from(file.day), "{}", file.key);
            assert_eq!(day(file.times.1), i64::from(file.day), "{}", file.key);
        }
    }
}

// Proves: QRY-245, QRY-246, QRY-248, QRY-249, QRY-250, QRY-251, QRY-253
#[tokio::test]
async fn members_become_columns() {
    let event = "{\"eventVersion\":\"1.11\",\"userIdentity\":{\"type\":\"AssumedRole\",\"principalId\":\"AROA:s\",\
        \"arn\":\"arn:aws:sts::111111111111:assumed-role/r/s\",\"accountId\":\"111111111111\",\
        \"accessKeyId\":\"ASIA1\",\"sessionContext\":{\"sessionIssuer\":{\"type\":\"Role\",\
        \"arn\":\"arn:aws:iam::111111111111:role/r\",\"userName\":\"r\"},\
        \"attributes\":{\"creationDate\":\"2026-11-20T10:00:00Z\",\"mfaAuthenticated\":\"false\"},\
        \"ec2RoleDelivery\":\"2.0\"},\"invokedBy\":\"x.amazonaws.com\"},\
        \"eventTime\":\"2026-11-20T12:34:56Z\",\"eventSource\":\"s3.amazonaws.com\",\
        \"eventName\":\"PutBucketPolicy\",\"awsRegion\":\"us-east-1\",\"sourceIPAddress\":\"192.0.2.1\",\
        \"userAgent\":\"a \\\"b\\\"\",\"requestParameters\":{\"bucketName\":\"b\\u00e9\",\
        \"n\":1.50e3,\"flag\":true,\"none\":null,\"nested\": { \"k\" : [ 1 , \"x y\" ] } },\
        \"responseElements\":null,\"requestID\":\"R1\",\"eventID\":\"00000000-0000-4000-8000-000000000001\",\
        \"readOnly\":false,\"resources\":[{\"accountId\":\"111111111111\",\"type\":\"AWS::S3::Bucket\",\
        \"ARN\":\"arn:aws:s3:::b\"},{\"ARNPrefix\":\"arn:aws:s3:::b/*\",\"type\":\"AWS::S3::Object\"}],\
        \"eventType\":\"AwsApiCall\",\"managementEvent\":true,\"recipientAccountId\":\"111111111111\",\
        \"eventCategory\":\"Management\",\"tlsDetails\":{\"tlsVersion\":\"TLSv1.3\",\
        \"clientProvidedHostHeader\":\"s3.amazonaws.com\"},\"unknownMember\":[1,2]}";
    let stage = Stage::new().await;
    let lake = stage.open().await;
    stage.append(&[event.to_owned()]).await;
    lake.ingest().await.expect("it works");
    lake.flush().await.expect("it works");
    let view = lake.read_view(&history()).expect("the table exists");
    let batches = batches_of(&lake, &view).await;
    let batch = &batches[0];
    let text = |name: &str| texts(batch, name)[0].clone();
    assert_eq!(text("eventjson").as_deref(), Some(event));
    assert_eq!(
        text("eventjsonchecksum").as_deref(),
        Some("ae532d80f720656a68681350ef55de7b778aab909032b380a97bb5d7e74f5e8a"),
        "SHA-256 of the text"
    );
    assert_eq!(text("useragent").as_deref(), Some("a \"b\""));
    assert_eq!(text("errorcode"), None);
    let time = column(batch, "eventtime")
        .as_primitive::<TimestampMicrosecondType>()
        .value(0);
    assert_eq!(time, 1_795_178_096_000_000);
    assert!(!column(batch, "readonly").as_boolean().value(0));
    assert!(column(batch, "managementevent").as_boolean().value(0));
    let parameters = column(batch, "requestparameters").as_map();
    let keys = parameters.keys().as_string::<i32>();
    let values = parameters.values().as_string::<i32>();
    let entries: Vec<(&str, Option<&str>)> = keys.iter().flatten().zip(values).collect();
    assert_eq!(
        entries,
        [
            ("bucketName", Some("bé")),
            ("n", Some("1.50e3")),
            ("flag", Some("true")),
            ("none", None),
            ("nested", Some("{\"k\":[1,\"x y\"]}")),
        ]
    );
    assert!(column(batch, "responseelements").is_null(0));
    let identity = column(batch, "useridentity").as_struct();
    let session = identity
        .column_by_name("sessioncontext")
        .expect("a member")
        .as_struct();
    let issuer = session
        .column_by_name("sessionissuer")
        .expect("a member")
        .as_struct();
    let name = issuer
        .column_by_name("username")
        .expect("a member")
        .as_string::<i32>()
        .value(0);
    assert_eq!(name, "r");
    let attributes = session
        .column_by_name("attributes")
        .expect("a member")
        .as_struct();
    let created = attributes.column_by_name("creationdate").expect("a member");
    let created = created.as_primitive::<TimestampMicrosecondType>().value(0);
    assert_eq!(created, 1_795_168_800_000_000);
    assert!(
        identity
            .column_by_name("onbehalfof")
            .expect("a member")
            .is_null(0)
    );
    let resources = column(batch, "resources").as_list::<i32>().value(0);
    let arns = resources
        .as_struct()
        .column_by_name("arn")
        .expect("a member")
        .as_string::<i32>();
    assert_eq!(
        arns.iter().collect::<Vec<_>>(),
        [Some("arn:aws:s3:::b"), None]
    );
    let prefixes = resources
        .as_struct()
        .column_by_name("arnprefix")
        .expect("a member");
    assert_eq!(prefixes.as_string::<i32>().value(1), "arn:aws:s3:::b/*");
    let tls = column(batch, "tlsdetails").as_struct();
    assert_eq!(
        tls.column_by_name("tlsversion")
            .expect("a member")
            .as_string::<i32>()
            .value(0),
        "TLSv1.3"
    );
    assert_eq!(text("_access_key").as_deref(), Some("ASIA1"));
    assert_eq!(text("_lookup_user").as_deref(), Some("s"));
    assert_eq!(
        text("_useridentity_invokedby").as_deref(),
        Some("x.amazonaws.com")
    );
    assert_eq!(text("_sessionissuer_username").as_deref(), Some("r"));
    let names = column(batch, "_resource_names").as_list::<i32>().value(0);
    let types = column(batch, "_resource_types").as_list::<i32>().value(0);
    assert_eq!(names.len(), types.len());
    assert_eq!(names.as_string::<i32>().value(0), "arn:aws:s3:::b");
    assert_eq!(NOW_MS, 1_795_219_200_000);
}
