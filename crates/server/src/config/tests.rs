use std::net::IpAddr;

use super::{Config, ConfigError, Layers, SETTINGS, TrustedProxies, reference_page};

fn layers_with(file: &str) -> Layers {
    let mut layers = Layers::default();
    layers
        .apply_file("cairn.toml", file)
        .expect("the file is valid");
    layers
}

fn environment(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect::<Vec<_>>()
        .into_iter()
}

#[test]
fn an_empty_file_is_a_whole_configuration() {
    let config = Config::resolve(&layers_with("")).expect("the defaults are valid");
    assert_eq!(config.listen.to_string(), "127.0.0.1:4510");
    assert_eq!(config.s3_listen.to_string(), "127.0.0.1:4511");
    assert_eq!(config.account.default_id.as_str(), "123456789012");
    assert_eq!(config.account.regions.of_every_account().count(), 17);
    assert_eq!(config.lookup.requests_per_second, 2);
    assert_eq!(config.ingest.body_bytes_max, 10_000_000);
    assert_eq!(config.lake.history_retention_days, 90);
}

#[test]
fn every_setting_is_named_once() {
    let mut names: Vec<_> = SETTINGS.iter().map(super::Setting::variable).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn later_sources_win() {
    let mut layers =
        layers_with("[lookup]\nrequests_per_second = 5\n[lake]\nhot_interval = \"100ms\"\n");
    layers
        .apply_environment(environment(&[
            ("CAIRN_LOOKUP_REQUESTS_PER_SECOND", "7"),
            ("HOME", "/"),
        ]))
        .expect("the variable exists");
    layers.apply_flag("--listen", "server.listen", "127.0.0.1:9".into());
    let config = Config::resolve(&layers).expect("all values are valid");
    assert_eq!(config.lookup.requests_per_second, 7);
    assert_eq!(config.lake.hot_interval.as_millis(), 100);
    assert_eq!(config.listen.port(), 9);
}

#[test]
fn unknown_keys_are_refused_by_name() {
    let check = |file: &str, expected: &str| {
        let error = Layers::default()
            .apply_file("cairn.toml", file)
            .expect_err("it is refused");
        assert_eq!(error.to_string(), expected);
    };
    check(
        "[lookup]\nrequest_per_second = 5",
        "unknown key lookup.request_per_second in cairn.toml; did you mean lookup.requests_per_second?",
    );
    check("[nonsense]\nx = 1", "unknown key nonsense in cairn.toml");
    check("listen = \"x\"", "unknown key listen in cairn.toml");
    let error = Layers::default()
        .apply_environment(environment(&[("CAIRN_LOOKUP_REQUESTS", "1")]))
        .expect_err("it is refused");
    assert!(
        error
            .to_string()
            .starts_with("unknown key CAIRN_LOOKUP_REQUESTS in the environment")
    );
}

#[test]
fn values_out_of_form_or_limit_are_refused_with_key_and_origin() {
    let check = |file: &str, expected: &str| {
        let error = Config::resolve(&layers_with(file)).expect_err("it is refused");
        assert_eq!(error.to_string(), expected);
    };
    check(
        "[lake]\nhot_interval = \"11s\"",
        "lake.hot_interval = \"11s\" (cairn.toml): expected a duration from 1ms to 500ms",
    );
    check(
        "[lake]\nhot_interval = 250",
        "lake.hot_interval = \"250\" (cairn.toml): expected a duration from 1ms to 500ms",
    );
    // A change whose events do not fit would block the outbox for ever.
    check(
        "[eventlog]\nsegment_bytes = \"1MiB\"",
        "eventlog.segment_bytes = \"1MiB\" (cairn.toml): expected a size from 4MiB to 4GiB",
    );
    check(
        "[eventlog]\nqueue_bytes_max = \"1MiB\"",
        "eventlog.queue_bytes_max = \"1MiB\" (cairn.toml): expected a size from 4MiB to 4GiB",
    );
    check(
        "[server]\nlisten = \"localhost\"",
        "server.listen = \"localhost\" (cairn.toml): expected an address with port, such as 127.0.0.1:4510",
    );
    check(
        "[account]\ndefault_region = \"mars-north-1\"",
        "account.default_region: mars-north-1 is not among the enabled Regions (account.regions)",
    );
    check(
        "[tls]\ncertificate_file = \"a.pem\"",
        "tls.private_key_file: a certificate needs its private key",
    );
    check(
        "[http]\ntrusted_proxies = [\"10.0.0.0/33\"]",
        "http.trusted_proxies = \"10.0.0.0/33\" (cairn.toml): \"10.0.0.0/33\" is not an address or a network such as 10.0.0.0/8",
    );
}

#[test]
fn sizes_overflow_into_an_error_not_a_small_number() {
    let error = Config::resolve(&layers_with(
        "[http]\nin_flight_bytes_max = \"99999999999999999999GiB\"",
    ));
    assert!(matches!(error, Err(ConfigError::InvalidValue { .. })));
}

#[test]
fn regions_can_differ_by_account() {
    let config = Config::resolve(&layers_with(
        "[account]\nregions_by_account = [\"111122223333=eu-west-1 mars-north-1\"]",
    ))
    .expect("it is valid");
    let rules = &config.account.regions;
    let account = "111122223333".parse().expect("twelve digits");
    let region = |name: &str| name.parse().expect("a Region");
    assert!(rules.is_enabled(account, &region("mars-north-1")));
    assert!(!rules.is_enabled(account, &region("us-east-1")));
    assert!(rules.is_enabled(config.account.default_id, &region("us-east-1")));
    assert!(!rules.is_enabled(config.account.default_id, &region("me-south-1")));
}

#[test]
fn the_printed_configuration_hides_secrets_and_reads_back() {
    let layers = layers_with("[http]\nmetrics_token = \"canary-secret\"\n[log]\nformat = \"json\"");
    let printed = layers.print();
    assert!(!printed.contains("canary-secret"));
    assert!(printed.contains("format = \"json\"  # cairn.toml"));
    let again = layers_with(&printed);
    assert!(Config::resolve(&again).is_ok());
    let config = Config::resolve(&layers).expect("it is valid");
    let shown = format!("{layers:?} {config:?}");
    assert!(!shown.contains("canary-secret"), "{shown}");
}

#[test]
fn proxies_are_matched_by_network() {
    let networks = [
        "10.0.0.0/8".to_owned(),
        "::1".to_owned(),
        "0.0.0.0/0".to_owned(),
    ];
    let contains = |networks: &[String], address: &str| {
        let proxies = TrustedProxies::parse(networks).expect("they are networks");
        proxies.contains(address.parse::<IpAddr>().expect("an address"))
    };
    assert!(contains(&networks[..1], "10.255.0.1"));
    assert!(contains(&networks[..1], "::ffff:10.1.2.3"));
    assert!(!contains(&networks[..1], "11.0.0.1"));
    assert!(contains(&networks[1..2], "::1"));
    assert!(!contains(&networks[1..2], "::2"));
    assert!(contains(&networks[2..], "192.0.2.1"));
    assert!(!contains(&networks[2..], "2001:db8::1"));
}

#[test]
fn the_reference_in_docs_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let stored = std::fs::read_to_string(path).expect("docs/configuration.md exists");
    assert!(
        stored == reference_page(),
        "write it anew: cairn serve --print-config-reference > docs/configuration.md"
    );
}
