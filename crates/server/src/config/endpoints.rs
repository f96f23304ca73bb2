//! The endpoints of services outside, each one text.

use super::layers::{ConfigError, Layers};
use super::resolved::{EndpointsConfig, S3EndpointSettings, ServiceAddressSettings};

/// Endpoints that may be configured.
const ENDPOINTS_MAX: usize = 100;

/// Reads the endpoints and checks that each can be one.
pub(super) fn resolve(layers: &Layers) -> Result<EndpointsConfig, ConfigError> {
    let texts = layers.list("endpoints", "s3");
    if texts.len() > ENDPOINTS_MAX {
        let reason = format!("there can be at most {ENDPOINTS_MAX} endpoints");
        return Err(layers.invalid("endpoints", "s3", reason));
    }
    let mut s3: Vec<S3EndpointSettings> = Vec::with_capacity(texts.len());
    for text in texts {
        let endpoint = parse(&text).map_err(|reason| layers.invalid("endpoints", "s3", reason))?;
        if s3.iter().any(|other| other.name == endpoint.name) {
            let reason = format!("{} stands there twice", endpoint.name);
            return Err(layers.invalid("endpoints", "s3", reason));
        }
        s3.push(endpoint);
    }
    let kms = addresses(layers, "kms")?;
    let sns = addresses(layers, "sns")?;
    let logs = addresses(layers, "logs")?;
    let eventbridge = addresses(layers, "eventbridge")?;
    let credentials_file = layers.path("endpoints", "credentials_file");
    for (key, is_set) in [
        ("s3", !s3.is_empty()),
        ("kms", !kms.is_empty()),
        ("sns", !sns.is_empty()),
        ("logs", !logs.is_empty()),
        ("eventbridge", !eventbridge.is_empty()),
    ] {
        if is_set && credentials_file.is_none() {
            return Err(ConfigError::Contradiction {
                key: "endpoints.credentials_file".into(),
                reason: format!("endpoints.{key} needs credentials"),
            });
        }
    }
    Ok(EndpointsConfig {
        s3,
        kms,
        sns,
        logs,
        eventbridge,
        eventbridge_source_prefix: layers
            .text("endpoints", "eventbridge_source_prefix")
            .to_owned(),
        credentials_file,
        ca_file: layers.path("endpoints", "ca_file"),
    })
}

/// The addresses of a service.
fn addresses(
    layers: &Layers,
    key: &'static str,
) -> Result<Vec<ServiceAddressSettings>, ConfigError> {
    let invalid = |reason: String| layers.invalid("endpoints", key, reason);
    let mut addresses: Vec<ServiceAddressSettings> = Vec::new();
    for text in layers.list("endpoints", key) {
        let address = parse_address(&text).map_err(invalid)?;
        if addresses.iter().any(|other| other.region == address.region) {
            return Err(invalid(format!(
                "{text:?} is the second address of its Region"
            )));
        }
        addresses.push(address);
    }
    Ok(addresses)
}

/// `REGION=URL`, or the URL alone for every Region.
fn parse_address(text: &str) -> Result<ServiceAddressSettings, String> {
    let (region, url) = match text.split_once('=') {
        Some((region, url)) if !region.contains(':') => (Some(region.trim()), url.trim()),
        _ => (None, text.trim()),
    };
    let region = region.map(str::parse).transpose();
    let region = region.map_err(|error: cairn_model::RegionError| format!("{text:?}: {error}"))?;
    if !is_address(url) {
        return Err(format!("{url:?} is not an http or https address"));
    }
    Ok(ServiceAddressSettings {
        region,
        url: url.to_owned(),
    })
}

fn is_address(url: &str) -> bool {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !url.contains(char::is_whitespace))
}

fn parse(text: &str) -> Result<S3EndpointSettings, String> {
    let form = "expected NAME=URL REGION PATTERN …";
    let (name, rest) = text.split_once('=').ok_or(form)?;
    let mut words = rest.split_whitespace();
    let (url, region) = words.next().zip(words.next()).ok_or(form)?;
    if !is_address(url) {
        return Err(format!("{url:?} is not an http or https address"));
    }
    let mut patterns: Vec<String> = words.map(str::to_owned).collect();
    let path_style = patterns.first().is_some_and(|first| first == "path");
    if path_style {
        patterns.remove(0);
    }
    if name.trim().is_empty() || patterns.is_empty() {
        return Err(form.to_owned());
    }
    Ok(S3EndpointSettings {
        name: name.trim().to_owned(),
        url: url.to_owned(),
        region: region.to_owned(),
        path_style,
        patterns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_services_are_read_from_their_texts() {
        let read = |text: &str| parse_address(text).map(|read| (read.region, read.url));
        let region = "eu-west-1".parse().ok();
        let url = "https://sns.eu-west-1.amazonaws.com".to_owned();
        assert_eq!(read(&format!("eu-west-1={url}")), Ok((region, url.clone())));
        assert_eq!(read(&url), Ok((None, url)));
        let with_query = "http://127.0.0.1:5000/?a=b".to_owned();
        assert_eq!(read(&with_query), Ok((None, with_query)));
        for wrong in [
            "",
            "eu-west-1",
            "eu-west-1=",
            "EU=https://host",
            "ftp://host",
            "https://",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn endpoints_are_read_from_their_texts() {
        let read = parse("minio=https://s3.example.net:9000 eu-west-1 path logs-* audit");
        let expected = S3EndpointSettings {
            name: "minio".into(),
            url: "https://s3.example.net:9000".into(),
            region: "eu-west-1".into(),
            path_style: true,
            patterns: vec!["logs-*".into(), "audit".into()],
        };
        assert_eq!(read, Ok(expected));
        for wrong in [
            "",
            "minio",
            "minio=https://host",
            "minio=https://host eu-west-1",
            "minio=https://host eu-west-1 path",
            "minio=ftp://host eu-west-1 *",
            "minio=https:// eu-west-1 *",
            "=https://host eu-west-1 *",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
