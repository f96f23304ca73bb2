//! `cairn identity`: accounts, and identities as one file, in a running server. Everything else about
//! users, groups, roles and policies is `aws iam`.

mod answer;
mod file;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use cairn_catalog::Catalog;
use cairn_platform::{Clock, Entropy, SystemEntropy};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::client::{CalledService, ClientProfile, ProfileArguments, SignedHttp};
use crate::first_start::{open_master_key, recover};
use crate::query_protocol::{QueryService, World};
use answer::Element;
use file::FileForm;

#[cfg(any(test, fuzzing))]
pub(crate) use answer::Element as AnswerElement;

/// Administers accounts, and imports and exports identities.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct IdentityArguments {
    #[command(flatten)]
    profile: ProfileArguments,
    #[command(subcommand)]
    command: IdentityCommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum IdentityCommand {
    /// Accounts.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Prints accounts, users, groups, roles and policies, without access keys.
    Export {
        /// This account only.
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// The form to print.
        #[arg(long, value_enum, default_value = "toml")]
        format: FileForm,
    },
    /// Makes accounts and identities be as FILE says. What FILE does not name stays as it is; what it
    /// names has exactly the policies, groups and tags that it lists.
    Apply {
        /// A TOML file, or JSON if its name ends in .json.
        file: PathBuf,
        /// Show what would change, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// When nobody can get in any more: gives the first account's administrator another key in place of
    /// all earlier ones. The server must be stopped. The next start records it.
    Recover(RecoverArguments),
}

/// What `recover` needs.
#[derive(Clone, Debug, clap::Args)]
struct RecoverArguments {
    /// The server's folder.
    #[arg(long, value_name = "DIR", default_value = "./cairn-data")]
    data_dir: PathBuf,
    /// Where the master key lies, if not in the folder.
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<PathBuf>,
    /// The administrator's user name.
    #[arg(long, default_value = "admin")]
    administrator: String,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum AccountCommand {
    /// Lists the accounts.
    List,
    /// Makes an account with an administrator, and prints the administrator's credentials once.
    Create {
        /// Twelve digits.
        id: String,
        /// A name for people.
        #[arg(long)]
        name: Option<String>,
        /// The administrator's user name.
        #[arg(long, default_value = "admin")]
        administrator: String,
    },
    /// Lets an account's credentials and events in again.
    Enable {
        /// Twelve digits.
        id: String,
    },
    /// Keeps an account's credentials and events out.
    Disable {
        /// Twelve digits.
        id: String,
    },
}

/// Runs the command.
pub(super) async fn run(
    arguments: IdentityArguments,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<ExitCode> {
    if let IdentityCommand::Recover(arguments) = &arguments.command {
        let text = recover_offline(arguments, clock).await?;
        std::io::stdout().lock().write_all(text.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let profile = ClientProfile::resolve(&arguments.profile, CalledService::Iam)?;
    let client = Client {
        http: SignedHttp::new(profile, clock)?,
    };
    let text = match &arguments.command {
        IdentityCommand::Account(command) => account(&client, command).await?,
        IdentityCommand::Export { account, format } => {
            let mut parameters = Vec::new();
            if let Some(account) = account {
                parameters.push(("AccountId", account.as_str()));
            }
            let answer = client.call("GetIdentities", &parameters).await?;
            format.write(answer.text("Document"))?
        }
        IdentityCommand::Recover(_) => String::new(),
        IdentityCommand::Apply { file, dry_run } => {
            let json = file::read_as_json(file)
                .with_context(|| format!("{} cannot be read", file.display()))?;
            let action = if *dry_run {
                "GetIdentitiesPlan"
            } else {
                "ApplyIdentities"
            };
            let answer = client.call(action, &[("Document", &json)]).await?;
            changes(&answer, *dry_run)
        }
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

async fn recover_offline(
    arguments: &RecoverArguments,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<String> {
    let RecoverArguments {
        data_dir,
        master_key_file,
        administrator,
    } = arguments;
    let catalog = data_dir.join("catalog.sqlite");
    let folder = data_dir.display();
    anyhow::ensure!(catalog.is_file(), "{folder} is not the folder of a server");
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
    let catalog = Catalog::open(&catalog, Arc::clone(&clock)).await?;
    let key_file = master_key_file.as_deref();
    let master_key = open_master_key(&catalog, data_dir, key_file, entropy.as_ref()).await?;
    let world = World {
        catalog: Arc::new(catalog),
        master_key,
        clock,
        entropy,
    };
    let recovered = recover(&world, data_dir, administrator).await?;
    world.catalog.close().await;
    let account = recovered.with_context(|| format!("{folder} has had no first start"))?;
    Ok(format!(
        "{folder}/credentials opens account {account} as {administrator}\n"
    ))
}

async fn account(client: &Client, command: &AccountCommand) -> anyhow::Result<String> {
    match command {
        AccountCommand::List => {
            let answer = client.call("ListAccounts", &[]).await?;
            let row = |account: &Element| {
                let state = if account.text("Enabled") == "true" {
                    "enabled"
                } else {
                    "disabled"
                };
                let alias = account.text("Alias");
                format!(
                    "{}  {state}  {}  {alias}",
                    account.text("AccountId"),
                    account.text("Name")
                )
            };
            let rows = answer.all("member").into_iter().map(row);
            Ok(lines(rows))
        }
        AccountCommand::Create {
            id,
            name,
            administrator,
        } => {
            let mut parameters = vec![
                ("AccountId", id.as_str()),
                ("AdministratorName", administrator),
            ];
            if let Some(name) = name {
                parameters.push(("Name", name));
            }
            let answer = client.call("CreateAccount", &parameters).await?;
            let (key, secret) = (answer.text("AccessKeyId"), answer.text("SecretAccessKey"));
            Ok(format!(
                "# {administrator} of account {id}; the secret is not shown again.\n[{id}]\n\
                 aws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
            ))
        }
        AccountCommand::Enable { id } => {
            client.call("EnableAccount", &[("AccountId", id)]).await?;
            Ok(format!("account {id} is enabled\n"))
        }
        AccountCommand::Disable { id } => {
            client.call("DisableAccount", &[("AccountId", id)]).await?;
            Ok(format!("account {id} is disabled\n"))
        }
    }
}

fn changes(answer: &Element, dry_run: bool) -> String {
    let made = answer.all("member");
    let mut text = lines(made.iter().map(|line| line.own_text().to_owned()));
    let noun = if made.len() == 1 { "change" } else { "changes" };
    let tail = if dry_run { " would be made" } else { "" };
    let _ = writeln!(text, "{} {noun}{tail}", made.len());
    text
}

fn lines(rows: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for row in rows {
        let _ = writeln!(text, "{}", row.trim_end());
    }
    text
}

struct Client {
    http: SignedHttp,
}

impl Client {
    async fn call(&self, action: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Element> {
        let service = QueryService::Cairn;
        let fixed = [("Action", action), ("Version", service.version())];
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs: Vec<String> = fixed
            .iter()
            .chain(parameters)
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        let body = Bytes::from(pairs.join("&"));
        let answer = self.http.post_form(service.scope_name(), body).await?;
        let text = std::str::from_utf8(&answer.body).context("the answer is not text")?;
        let root =
            Element::parse(text).context("the endpoint did not answer as a Cairn server does")?;
        if answer.status == 200 {
            return Ok(root);
        }
        anyhow::bail!(
            "{}: {} (request {})",
            root.text("Code"),
            root.text("Message"),
            answer.request_id
        )
    }
}
