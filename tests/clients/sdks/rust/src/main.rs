//! One journey with the AWS SDK for Rust. The environment says where and who, as for any AWS client.
//! JOURNEY_TRAIL and JOURNEY_BUCKET name a trail to make and its bucket. Prints what the SDK understood,
//! as JSON.

use std::env;
use std::time::{Duration, SystemTime};

use aws_sdk_cloudtrail::config::{Credentials, Region};
use aws_sdk_cloudtrail::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{
    AdvancedEventSelector, AdvancedFieldSelector, LookupAttribute, LookupAttributeKey, Tag,
};
use aws_sdk_cloudtrail::{Client, Config};
use serde_json::{Value, json};

fn client(secret: String) -> Client {
    let of = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let credentials = Credentials::new(of("AWS_ACCESS_KEY_ID"), secret, None, None, "environment");
    let config = Config::builder()
        .region(Region::new(of("AWS_REGION")))
        .endpoint_url(of("AWS_ENDPOINT_URL"))
        .credentials_provider(credentials)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

async fn events(client: &Client) -> Result<Vec<Value>, Box<dyn std::error::Error>> {
    let attribute = LookupAttribute::builder()
        .attribute_key(LookupAttributeKey::EventName)
        .attribute_value("CreateUser")
        .build()?;
    let now = SystemTime::now();
    let mut pages = client
        .lookup_events()
        .lookup_attributes(attribute)
        .start_time(DateTime::from(now - Duration::from_secs(3_600)))
        .end_time(DateTime::from(now + Duration::from_secs(60)))
        .into_paginator()
        .page_size(2)
        .send();
    let mut events = Vec::new();
    while let Some(page) = pages.next().await {
        for event in page?.events() {
            let resources = event.resources().iter();
            events.push(json!({
                "id": event.event_id(),
                "seconds": event.event_time().map(DateTime::as_secs_f64),
                "username": event.username(),
                "resources": resources.map(|found| found.resource_name()).collect::<Vec<_>>(),
                "record": event.cloud_trail_event(),
            }));
        }
    }
    Ok(events)
}

fn name_of_error<T, E>(outcome: Result<T, SdkError<E>>) -> Option<Value>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match outcome {
        Ok(_) => None,
        Err(SdkError::ServiceError(refused)) => Some(json!({
            "name": refused.err().code(),
            "status": refused.raw().status().as_u16(),
        })),
        Err(other) => panic!("not an answer of the service: {other}"),
    }
}

fn tag(key: &str, value: &str) -> Tag {
    let tag = Tag::builder().key(key).value(value).build();
    tag.expect("a tag with a key")
}

fn objects_of_one_bucket() -> Result<AdvancedEventSelector, Box<dyn std::error::Error>> {
    let field = |name: &str| AdvancedFieldSelector::builder().field(name);
    let bucket = "arn:aws:s3:::watched/";
    Ok(AdvancedEventSelector::builder()
        .name("Objects of one bucket")
        .field_selectors(field("eventCategory").equals("Data").build()?)
        .field_selectors(field("resources.type").equals("AWS::S3::Object").build()?)
        .field_selectors(field("resources.ARN").starts_with(bucket).build()?)
        .build()?)
}

/// The life of a trail, from its making to the error that it is not there.
async fn life_of_a_trail(
    client: &Client,
    name: &str,
    bucket: &str,
) -> Result<Value, Box<dyn std::error::Error>> {
    let made = client.create_trail().name(name).s3_bucket_name(bucket);
    let made = made.enable_log_file_validation(true);
    let made = made.tags_list(tag("Team", "audit")).send().await?;
    let arn = made.trail_arn().ok_or("a trail has an ARN")?;
    client.start_logging().name(arn).send().await?;
    let started = client.get_trail_status().name(name).send().await?;
    let put = client.put_event_selectors().trail_name(name);
    let put = put.advanced_event_selectors(objects_of_one_bucket()?);
    put.send().await?;
    let selectors = client.get_event_selectors().trail_name(arn).send().await?;
    let conditions = selectors.advanced_event_selectors()[0].field_selectors();
    let add = client.add_tags().resource_id(arn);
    add.tags_list(tag("environment", "dev")).send().await?;
    let tags = client.list_tags().resource_id_list(arn).send().await?;
    let tags = tags.resource_tag_list()[0].tags_list();
    let described = client.describe_trails().trail_name_list(arn).send().await?;
    let described = described.trail_list().iter();
    client.stop_logging().name(name).send().await?;
    let stopped = client.get_trail_status().name(arn).send().await?;
    client.delete_trail().name(arn).send().await?;
    let times = [started.start_logging_time(), stopped.stop_logging_time()];
    Ok(json!({
        "arn": arn,
        "validates": made.log_file_validation_enabled(),
        "described": described
            .map(|trail| json!([trail.name(), trail.has_custom_event_selectors()]))
            .collect::<Vec<_>>(),
        "conditions": conditions
            .iter()
            .map(|condition| {
                let values = [condition.equals(), condition.starts_with()].concat();
                json!([condition.field(), values])
            })
            .collect::<Vec<_>>(),
        "tags": tags.iter().map(|tag| json!([tag.key(), tag.value()])).collect::<Vec<_>>(),
        "logging": [started.is_logging(), stopped.is_logging()],
        "seconds": times.map(|time| time.map(DateTime::secs)),
        "texts": [
            started.time_logging_started(),
            started.time_logging_stopped(),
            stopped.time_logging_stopped(),
        ],
        "gone": name_of_error(client.get_trail().name(name).send().await),
    }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ours = client(env::var("AWS_SECRET_ACCESS_KEY")?);
    let stranger = client("not the secret".into());
    let found = json!({
        "events": events(&ours).await?,
        "trail": life_of_a_trail(&ours, &env::var("JOURNEY_TRAIL")?, &env::var("JOURNEY_BUCKET")?).await?,
        "unbuilt": name_of_error(ours.list_channels().send().await),
        "forged": name_of_error(stranger.list_channels().send().await),
    });
    println!("{found}");
    Ok(())
}
