//! One journey with the AWS SDK for Rust. The environment says where and who, as for any AWS client.
//! Prints what the SDK understood, as JSON.

use std::env;
use std::time::{Duration, SystemTime};

use aws_sdk_cloudtrail::config::{Credentials, Region};
use aws_sdk_cloudtrail::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
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

async fn name_of_error(client: &Client) -> Option<Value> {
    match client.list_channels().send().await {
        Ok(_) => None,
        Err(SdkError::ServiceError(refused)) => Some(json!({
            "name": refused.err().code(),
            "status": refused.raw().status().as_u16(),
        })),
        Err(other) => panic!("not an answer of the service: {other}"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ours = client(env::var("AWS_SECRET_ACCESS_KEY")?);
    let stranger = client("not the secret".into());
    let found = json!({
        "events": events(&ours).await?,
        "unbuilt": name_of_error(&ours).await,
        "forged": name_of_error(&stranger).await,
    });
    println!("{found}");
    Ok(())
}
