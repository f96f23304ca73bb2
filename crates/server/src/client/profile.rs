//! Endpoint, Region and credentials by AWS's rules: option, then environment, then the profile in
//! AWS's two files. Roles and single sign-on are left to the AWS CLI (`aws configure export-credentials`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cairn_access::SecretKey;

/// The options that every client command takes; each can come from AWS's variable instead.
#[derive(Clone, Debug, clap::Args)]
pub struct ProfileArguments {
    /// Address of the server, for example http://127.0.0.1:4510; otherwise from `AWS_ENDPOINT_URL` or the
    /// profile.
    #[arg(
        long,
        visible_alias = "endpoint-url",
        value_name = "URL",
        global = true
    )]
    pub endpoint: Option<String>,
    /// Region that requests are signed for.
    #[arg(long, env = "AWS_REGION", value_name = "REGION", global = true)]
    pub region: Option<String>,
    /// Profile in the files of the AWS CLI, even if the environment has credentials; otherwise from
    /// `AWS_PROFILE`, or `default`.
    #[arg(long, value_name = "NAME", global = true)]
    pub profile: Option<String>,
    #[command(flatten)]
    environment: AwsEnvironment,
}

/// AWS's variables that have no option of their own: secrets do not belong on a command line.
#[derive(Clone, clap::Args)]
struct AwsEnvironment {
    #[arg(long, hide = true, env = "AWS_ENDPOINT_URL")]
    endpoint_everywhere: Option<String>,
    #[arg(long, hide = true, env = "AWS_ENDPOINT_URL_IAM")]
    endpoint_iam: Option<String>,
    #[arg(long, hide = true, env = "AWS_ENDPOINT_URL_CLOUDTRAIL")]
    endpoint_cloudtrail: Option<String>,
    #[arg(long, hide = true, env = "AWS_ENDPOINT_URL_S3")]
    endpoint_s3: Option<String>,
    #[arg(long, hide = true, env = "AWS_ENDPOINT_URL_ORGANIZATIONS")]
    endpoint_organizations: Option<String>,
    #[arg(long, hide = true, env = "AWS_PROFILE")]
    profile_everywhere: Option<String>,
    #[arg(long, hide = true, env = "AWS_ENDPOINT_URL_CLOUDTRAIL_DATA")]
    endpoint_cloudtrail_data: Option<String>,
    #[arg(long, hide = true, env = "AWS_DEFAULT_REGION")]
    default_region: Option<String>,
    #[arg(long, hide = true, hide_env_values = true, env = "AWS_ACCESS_KEY_ID")]
    access_key_id: Option<String>,
    #[arg(
        long,
        hide = true,
        hide_env_values = true,
        env = "AWS_SECRET_ACCESS_KEY"
    )]
    secret_access_key: Option<String>,
    #[arg(long, hide = true, hide_env_values = true, env = "AWS_SESSION_TOKEN")]
    session_token: Option<String>,
    #[arg(long, hide = true, env = "AWS_SHARED_CREDENTIALS_FILE")]
    credentials_file: Option<PathBuf>,
    #[arg(long, hide = true, env = "AWS_CONFIG_FILE")]
    config_file: Option<PathBuf>,
    #[arg(long, hide = true, env = "AWS_CA_BUNDLE")]
    ca_bundle: Option<PathBuf>,
    #[arg(long, hide = true, env = "HOME")]
    home: Option<PathBuf>,
}

impl std::fmt::Debug for AwsEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AwsEnvironment(redacted)")
    }
}

/// Where requests go and who signs them.
#[derive(Debug)]
pub(crate) struct ClientProfile {
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) access_key_id: String,
    pub(crate) secret: SecretKey,
    pub(crate) session_token: Option<String>,
    /// Certificates that are trusted beside the system's: `AWS_CA_BUNDLE`, or `ca_bundle` of the profile.
    pub(crate) ca_bundle: Option<PathBuf>,
    /// False if nobody said where the service is, and `endpoint` is a guess.
    pub(crate) is_endpoint_given: bool,
    /// `addressing_style` of the profile's `s3` settings.
    pub(crate) addressing_style: Option<String>,
}

/// The service that a command calls: AWS has a variable for the address of each.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CalledService {
    CloudTrail,
    CloudTrailData,
    Iam,
    Organizations,
    S3,
}

impl CalledService {
    /// What the service is called in a `services` section of the configuration file.
    fn section_name(self) -> &'static str {
        match self {
            Self::CloudTrail => "cloudtrail",
            Self::CloudTrailData => "cloudtrail_data",
            Self::Iam => "iam",
            Self::Organizations => "organizations",
            Self::S3 => "s3",
        }
    }
}

/// What is missing or unusable in the caller's settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileError {
    #[error(
        "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE with a \
         credentials file (the server wrote one into its data directory)"
    )]
    NoCredentials,
    #[error("{variable} is set but {missing} is not")]
    HalfCredentials {
        variable: &'static str,
        missing: &'static str,
    },
    #[error("cannot read {file}: {reason}")]
    Unreadable {
        file: PathBuf,
        reason: std::io::Error,
    },
    #[error("{file}, line {line}: neither a [section] nor name = value")]
    Malformed { file: PathBuf, line: usize },
}

/// The address of a server that runs with its defaults on this machine.
const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:4510";
const DEFAULT_S3_ENDPOINT: &str = "http://127.0.0.1:4511";
const DEFAULT_REGION: &str = "us-east-1";

impl ClientProfile {
    /// Resolves options, environment and files.
    pub(crate) fn resolve(
        arguments: &ProfileArguments,
        service: CalledService,
    ) -> Result<Self, ProfileError> {
        let environment = &arguments.environment;
        let variable = environment.profile_everywhere.as_deref();
        let name = arguments.profile.as_deref().or(variable);
        let name = name.unwrap_or("default");
        let home = environment.home.clone().unwrap_or_default();
        let file = |given: &Option<PathBuf>, name: &str| {
            given
                .clone()
                .unwrap_or_else(|| home.join(".aws").join(name))
        };
        let credentials = read_sections(&file(&environment.credentials_file, "credentials"))?;
        let config = read_sections(&file(&environment.config_file, "config"))?;
        let credentials = credentials.get(name);
        let sections = config;
        let config = sections
            .get(&format!("profile {name}"))
            .or_else(|| sections.get(name));
        let setting = |name: &str| {
            credentials
                .and_then(|s| s.get(name))
                .or_else(|| config.and_then(|s| s.get(name)))
        };
        let (access_key_id, secret, session_token) = if arguments.profile.is_some() {
            credentials_in_files(setting)?
        } else {
            credentials_of(environment, setting)?
        };
        // The option is the address of the API; buckets and organizations have addresses of their own.
        let (option, of_service) = match service {
            CalledService::CloudTrail => (&arguments.endpoint, &environment.endpoint_cloudtrail),
            CalledService::CloudTrailData => {
                (&arguments.endpoint, &environment.endpoint_cloudtrail_data)
            }
            CalledService::Iam => (&arguments.endpoint, &environment.endpoint_iam),
            CalledService::Organizations => (&None, &environment.endpoint_organizations),
            CalledService::S3 => (&None, &environment.endpoint_s3),
        };
        let services = setting("services").and_then(|of| sections.get(&format!("services {of}")));
        let in_section = format!("{}.endpoint_url", service.section_name());
        let given = option
            .as_ref()
            .or(of_service.as_ref())
            .or(environment.endpoint_everywhere.as_ref())
            .or_else(|| services.and_then(|services| services.get(&in_section)))
            .or_else(|| setting("endpoint_url"));
        let default = match service {
            CalledService::S3 => DEFAULT_S3_ENDPOINT,
            _ => DEFAULT_ENDPOINT,
        };
        let endpoint = given.map_or(default, String::as_str);
        let region = arguments
            .region
            .as_ref()
            .or(environment.default_region.as_ref())
            .or_else(|| setting("region"))
            .map_or(DEFAULT_REGION, String::as_str);
        let ca_bundle = environment.ca_bundle.clone();
        Ok(Self {
            ca_bundle: ca_bundle.or_else(|| setting("ca_bundle").map(PathBuf::from)),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            is_endpoint_given: given.is_some(),
            addressing_style: setting("s3.addressing_style").cloned(),
            region: region.to_owned(),
            access_key_id,
            secret,
            session_token,
        })
    }
}

/// The credentials in one section of a file in AWS's form.
pub(crate) fn credentials_of_section(
    file: &Path,
    section: &str,
) -> Result<Credentials, ProfileError> {
    let sections = read_sections(file)?;
    let section = sections.get(section);
    credentials_in_files(|name| section.and_then(|section| section.get(name)))
}

/// Key ID, secret and, for temporary ones, the token.
pub(crate) type Credentials = (String, SecretKey, Option<String>);

fn credentials_of<'a>(
    environment: &AwsEnvironment,
    setting: impl Fn(&str) -> Option<&'a String>,
) -> Result<Credentials, ProfileError> {
    let (key, secret) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
    match (&environment.access_key_id, &environment.secret_access_key) {
        (Some(id), Some(value)) => Ok((
            id.clone(),
            SecretKey::new(value.clone()),
            environment.session_token.clone(),
        )),
        (Some(_), None) => Err(ProfileError::HalfCredentials {
            variable: key,
            missing: secret,
        }),
        (None, Some(_)) => Err(ProfileError::HalfCredentials {
            variable: secret,
            missing: key,
        }),
        (None, None) => credentials_in_files(setting),
    }
}

fn credentials_in_files<'a>(
    setting: impl Fn(&str) -> Option<&'a String>,
) -> Result<Credentials, ProfileError> {
    let id = setting("aws_access_key_id");
    let (Some(id), Some(secret)) = (id, setting("aws_secret_access_key")) else {
        return Err(ProfileError::NoCredentials);
    };
    let token = setting("aws_session_token").cloned();
    Ok((id.clone(), SecretKey::new(secret.clone()), token))
}

type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// Reads AWS's file form. A file that does not exist is an empty one. Indented settings are named after the one
/// that they belong to: `s3.addressing_style`.
fn read_sections(file: &Path) -> Result<Sections, ProfileError> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(reason) if reason.kind() == std::io::ErrorKind::NotFound => return Ok(Sections::new()),
        Err(reason) => {
            return Err(ProfileError::Unreadable {
                file: file.to_owned(),
                reason,
            });
        }
    };
    let mut sections = Sections::new();
    let mut current = String::new();
    let mut parent = String::new();
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            if let Some((name, value)) = trimmed.split_once('=') {
                let section = sections.entry(current.clone()).or_default();
                let name = format!("{parent}.{}", name.trim());
                section.insert(name, value.trim().to_owned());
            }
            continue;
        }
        if let Some(name) = trimmed
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            current = name.split_whitespace().collect::<Vec<_>>().join(" ");
        } else if let Some((name, value)) = trimmed.split_once('=') {
            let section = sections.entry(current.clone()).or_default();
            name.trim().clone_into(&mut parent);
            section.insert(parent.clone(), value.trim().to_owned());
        } else {
            return Err(ProfileError::Malformed {
                file: file.to_owned(),
                line: index + 1,
            });
        }
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        profile: ProfileArguments,
    }

    fn resolve(folder: &Path, options: &[&str]) -> Result<ClientProfile, ProfileError> {
        let file = |name: &str| folder.join(name).display().to_string();
        let (credentials, config) = (file("credentials"), file("config"));
        let fixed = [
            "cairn",
            "--credentials-file",
            &credentials,
            "--config-file",
            &config,
        ];
        let command: Command =
            clap::Parser::try_parse_from(fixed.iter().chain(options)).expect("valid options");
        ClientProfile::resolve(&command.profile, CalledService::CloudTrailData)
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let credentials = "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key=s1\n\
                           [audit]\naws_access_key_id = ASIAAUDIT\naws_secret_access_key = s2\n\
                           aws_session_token = token\n";
        let config = "# comment\n[default]\nregion = eu-west-1\ns3 =\n  addressing_style = path\n\
                      [profile  audit]\nregion = us-east-2\nendpoint_url = http://localhost:9/\n";
        std::fs::write(folder.path().join("credentials"), credentials).expect("a file");
        std::fs::write(folder.path().join("config"), config).expect("a file");
        folder
    }

    #[test]
    fn a_profile_comes_from_both_files() {
        let folder = folder();
        let profile = resolve(folder.path(), &["--profile", "audit"]).expect("complete");
        assert_eq!(profile.access_key_id, "ASIAAUDIT");
        assert_eq!(profile.session_token.as_deref(), Some("token"));
        assert_eq!(
            (profile.region.as_str(), profile.endpoint.as_str()),
            ("us-east-2", "http://localhost:9")
        );
    }

    #[test]
    fn an_option_wins_over_the_files() {
        let folder = folder();
        let options = [
            "--endpoint",
            "http://h:1/",
            "--region",
            "sa-east-1",
            "--profile",
            "default",
        ];
        let profile = resolve(folder.path(), &options).expect("complete");
        assert_eq!(
            (profile.region.as_str(), profile.endpoint.as_str()),
            ("sa-east-1", "http://h:1")
        );
        assert_eq!(profile.access_key_id, "AKIADEFAULT");
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let folder = folder();
        // Hidden options stand for the variables: tests in one process share its environment.
        let environment = [
            "--endpoint-cloudtrail-data",
            "http://production",
            "--endpoint-everywhere",
            "http://elsewhere",
            "--access-key-id",
            "AKIAPRODUCTION",
            "--secret-access-key",
            "s",
            "--profile-everywhere",
            "default",
        ];
        let bare = resolve(folder.path(), &environment).expect("complete");
        assert_eq!(
            (bare.endpoint.as_str(), bare.access_key_id.as_str()),
            ("http://production", "AKIAPRODUCTION")
        );
        let options = ["--endpoint", "http://test", "--profile", "audit"];
        let options: Vec<&str> = environment.into_iter().chain(options).collect();
        let profile = resolve(folder.path(), &options).expect("complete");
        assert_eq!(profile.endpoint, "http://test");
        assert_eq!(profile.access_key_id, "ASIAAUDIT");
        assert_eq!(profile.region, "us-east-2");
    }

    #[test]
    fn each_command_goes_by_the_variable_of_its_service() {
        let folder = folder();
        let data = folder.path().join("credentials").display().to_string();
        let options = [
            "cairn",
            "--credentials-file",
            &data,
            "--config-file",
            "/nonexistent",
            "--endpoint-cloudtrail-data",
            "http://data",
            "--endpoint-everywhere",
            "http://all",
        ];
        let command: Command = clap::Parser::try_parse_from(options).expect("valid options");
        let resolve = |service| {
            let profile = ClientProfile::resolve(&command.profile, service);
            profile.expect("complete").endpoint
        };
        assert_eq!(resolve(CalledService::CloudTrailData), "http://data");
        assert_eq!(resolve(CalledService::Iam), "http://all");
    }

    #[test]
    fn the_files_of_a_first_start_say_where_the_buckets_are() {
        let folder = folder();
        let config = "[default]\nendpoint_url = http://api\nservices = cairn\ns3 =\n  \
                      addressing_style = path\n[services cairn]\ns3 =\n  endpoint_url = http://buckets\n";
        std::fs::write(folder.path().join("config"), config).expect("a file");
        let options = |options: &[&str], service| {
            let file = |name: &str| folder.path().join(name).display().to_string();
            let (credentials, config) = (file("credentials"), file("config"));
            let fixed = [
                "cairn",
                "--credentials-file",
                &credentials,
                "--config-file",
                &config,
            ];
            let command: Command =
                clap::Parser::try_parse_from(fixed.iter().chain(options)).expect("valid options");
            ClientProfile::resolve(&command.profile, service).expect("complete")
        };
        let buckets = options(&[], CalledService::S3);
        assert_eq!(buckets.endpoint, "http://buckets");
        assert_eq!(buckets.addressing_style.as_deref(), Some("path"));
        assert_eq!(
            options(&[], CalledService::CloudTrail).endpoint,
            "http://api"
        );
        let elsewhere = ["--endpoint-url", "http://other"];
        assert_eq!(
            options(&elsewhere, CalledService::CloudTrail).endpoint,
            "http://other"
        );
        assert_eq!(
            options(&elsewhere, CalledService::S3).endpoint,
            "http://buckets"
        );
        let everywhere = ["--endpoint-everywhere", "http://every"];
        assert_eq!(
            options(&everywhere, CalledService::S3).endpoint,
            "http://every"
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = folder();
        let missing = resolve(folder.path(), &["--profile", "other"]).expect_err("no such profile");
        assert!(
            missing.to_string().contains("AWS_ACCESS_KEY_ID"),
            "{missing}"
        );
        let half = resolve(folder.path(), &["--access-key-id", "AKIA"]).expect_err("half a pair");
        assert!(
            half.to_string().contains("AWS_SECRET_ACCESS_KEY is not"),
            "{half}"
        );
        std::fs::write(folder.path().join("config"), "nonsense\n").expect("a file");
        let malformed = resolve(folder.path(), &[]).expect_err("not AWS's form");
        assert!(malformed.to_string().contains("line 1"), "{malformed}");
    }

    // Proves: R23
    #[test]
    fn debug_output_shows_no_secret() {
        let folder = folder();
        let profile = resolve(folder.path(), &["--profile", "audit"]).expect("complete");
        assert!(!format!("{profile:?}").contains("s2"));
    }
}
