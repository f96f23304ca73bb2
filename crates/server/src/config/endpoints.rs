//! The services outside: the list of S3 endpoints, each one text, and a KMS.

use cairn_model::Region;

use super::layers::{ConfigError, Layers};
use super::resolved::{EndpointsConfig, S3EndpointSettings};

/// Endpoints that may be configured.
const ENDPOINTS_MAX: usize = 100;

/// A configured KMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsEndpointSettings {
    /// The section of its credentials.
    pub name: String,
    /// Its address.
    pub url: String,
    /// The Region whose keys it has.
    pub region: Region,
}

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
    let kms = match layers.text("endpoints", "kms") {
        "" => None,
        text => {
            let read = parse_kms(text);
            Some(read.map_err(|reason| layers.invalid("endpoints", "kms", reason))?)
        }
    };
    let credentials_file = layers.path("endpoints", "credentials_file");
    if !s3.is_empty() && credentials_file.is_none() {
        return Err(ConfigError::Contradiction {
            key: "endpoints.credentials_file".into(),
            reason: "endpoints.s3 needs credentials".into(),
        });
    }
    if kms.is_some() && credentials_file.is_none() {
        return Err(ConfigError::Contradiction {
            key: "endpoints.credentials_file".into(),
            reason: "endpoints.kms needs credentials".into(),
        });
    }
    Ok(EndpointsConfig {
        s3,
        kms,
        credentials_file,
        ca_file: layers.path("endpoints", "ca_file"),
    })
}

fn parse(text: &str) -> Result<S3EndpointSettings, String> {
    let form = "expected NAME=URL REGION PATTERN …";
    let (name, rest) = text.split_once('=').ok_or(form)?;
    let mut words = rest.split_whitespace();
    let (url, region) = words.next().zip(words.next()).ok_or(form)?;
    check_url(url)?;
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

fn parse_kms(text: &str) -> Result<KmsEndpointSettings, String> {
    let form = "expected NAME=URL REGION";
    let (name, rest) = text.split_once('=').ok_or(form)?;
    let [url, region] = rest.split_whitespace().collect::<Vec<_>>()[..] else {
        return Err(form.to_owned());
    };
    check_url(url)?;
    if name.trim().is_empty() {
        return Err(form.to_owned());
    }
    Ok(KmsEndpointSettings {
        name: name.trim().to_owned(),
        url: url.to_owned(),
        region: region
            .parse()
            .map_err(|_| format!("{region:?} is no Region"))?,
    })
}

fn check_url(url: &str) -> Result<(), String> {
    let has_host = |scheme: &str| {
        url.strip_prefix(scheme)
            .is_some_and(|rest| !rest.is_empty())
    };
    if has_host("http://") || has_host("https://") {
        return Ok(());
    }
    Err(format!("{url:?} is not an http or https address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kms_is_read_from_its_text() {
        let read = parse_kms("keys=https://kms.example.net eu-west-1");
        let expected = KmsEndpointSettings {
            name: "keys".into(),
            url: "https://kms.example.net".into(),
            region: "eu-west-1".parse().expect("a Region"),
        };
        assert_eq!(read, Ok(expected));
        for wrong in [
            "keys",
            "keys=https://host",
            "keys=https://host eu-west-1 more",
            "keys=ftp://host eu-west-1",
            "keys=https://host -",
            "=https://host eu-west-1",
        ] {
            assert!(parse_kms(wrong).is_err(), "{wrong}");
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
