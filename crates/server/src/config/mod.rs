//! Configuration, read once at start: defaults, then the file, then the environment, then flags; each
//! key checked against one table, then resolved into one plain struct per part of the program.
//! Nothing else in Cairn reads a file of settings or an environment variable of its own.

mod endpoints;
mod layers;
mod reference;
mod regions;
mod resolved;
mod settings;
mod units;

pub use layers::{ConfigError, Layers};
pub use reference::reference_page;
pub use regions::RegionRules;
pub use resolved::{
    AccountConfig, AdmissionConfig, Config, DeduplicationConfig, EndpointsConfig, EventLogSettings,
    HttpConfig, IngestConfig, LakeSettings, LogConfig, LogFormat, LookupConfig, S3EndpointSettings,
    ServiceAddressSettings, TlsConfig, TrailsSettings, TrustedProxies,
};
pub use settings::{Kind, SETTINGS, Setting};
pub(crate) use settings::{QUEUE_BYTES_MIN, SEGMENT_BYTES_MIN};

#[cfg(test)]
mod tests;
