//! What every operation goes through: routing, checks of parameters, renderings.

use std::collections::BTreeSet;
use std::sync::Arc;

use cairn_access::{Principal, User};
use cairn_catalog::Catalog;
use cairn_catalog::identity::{IdPrefix, IdentityKind, NewAccount, NewIdentity, new_unique_id};
use cairn_model::AccountId;
use cairn_platform::{ManualClock, MasterKey, SeededEntropy};
use serde_json::{Value, json};

use super::*;
use crate::query_protocol::answer::lower_camel;

/// 2023-07-19T21:25:09Z, the time of the manual's example.
pub(crate) const NOW_MS: i64 = 1_689_801_909_000;

/// A catalog with one account and its user `Mary`, who calls.
pub(crate) struct Fixture {
    pub(crate) world: World,
    pub(crate) mary: Caller,
    _folder: tempfile::TempDir,
}

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) xml: String,
    pub(crate) request_parameters: Value,
    pub(crate) response_elements: Value,
    pub(crate) answer: QueryAnswer,
}

impl Outcome {
    /// The text of the first element of that name.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.texts(name).first().copied().unwrap_or_default()
    }

    /// The texts of all elements of that name.
    pub(crate) fn texts(&self, name: &str) -> Vec<&str> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        self.xml
            .split(&open)
            .skip(1)
            .map(|rest| rest.split(&close).next().unwrap_or_default())
            .collect()
    }
}

pub(crate) fn account(text: &str) -> AccountId {
    text.parse().expect("an account")
}

/// A form from pairs, encoded as clients do.
pub(crate) fn form(pairs: &[(&str, &str)]) -> Vec<u8> {
    let encode = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.join("&").into_bytes()
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let entropy = Arc::new(SeededEntropy::new(42));
        let catalog = Catalog::open(
            &folder.path().join("catalog.sqlite"),
            Arc::clone(&clock) as _,
        )
        .await;
        let world = World {
            catalog: Arc::new(catalog.expect("opens")),
            master_key: MasterKey::generate(entropy.as_ref()),
            clock,
            entropy,
        };
        let mary = add_user(&world, "123456789012", "Mary").await;
        Self {
            world,
            mary,
            _folder: folder,
        }
    }

    /// Another account with a user.
    pub(crate) async fn add_account(&self, number: &str, user: &str) -> Caller {
        add_user(&self.world, number, user).await
    }

    /// Calls as Mary.
    pub(crate) async fn iam(&self, pairs: &[(&str, &str)]) -> Result<Outcome, QueryError> {
        self.call(QueryService::Iam, &self.mary, pairs).await
    }

    /// Calls as Mary and expects success.
    pub(crate) async fn does(&self, pairs: &[(&str, &str)]) -> Outcome {
        match self.iam(pairs).await {
            Ok(outcome) => outcome,
            Err(error) => panic!("{pairs:?}: {error}"),
        }
    }

    /// Calls as Mary and expects this error.
    pub(crate) async fn refuses(&self, pairs: &[(&str, &str)], code: QueryErrorCode) -> String {
        let error = self.iam(pairs).await.expect_err("must be refused");
        assert_eq!(error.code, code, "{error}");
        error.message
    }

    pub(crate) async fn call(
        &self,
        service: QueryService,
        caller: &Caller,
        pairs: &[(&str, &str)],
    ) -> Result<Outcome, QueryError> {
        let mut pairs = pairs.to_vec();
        pairs.push(("Version", service.version()));
        let request = QueryRequest::parse(service, &form(&pairs))?;
        let (operation, input) = (request.operation, request.input);
        let answer = if operation.is_write() {
            let mut transaction = self.world.catalog.begin().await.expect("begins");
            let answer = operation
                .run_write(&self.world, caller, &input, &mut transaction)
                .await?;
            transaction.commit().await.expect("commits");
            answer
        } else {
            let mut transaction = self.world.catalog.read().await.expect("begins");
            operation
                .run_read(&self.world, caller, &input, &mut transaction)
                .await?
        };
        Ok(Outcome {
            xml: answer.xml(operation, "request-1"),
            request_parameters: operation.request_parameters(&input),
            response_elements: answer.response_elements(operation),
            answer,
        })
    }

    /// What would be asked before the call runs.
    pub(crate) async fn targets(
        &self,
        service: QueryService,
        caller: &Caller,
        pairs: &[(&str, &str)],
    ) -> Vec<AuthorizationTarget> {
        let mut pairs = pairs.to_vec();
        pairs.push(("Version", service.version()));
        let request = QueryRequest::parse(service, &form(&pairs)).expect("is well formed");
        let mut transaction = self.world.catalog.read().await.expect("begins");
        let targets =
            request
                .operation
                .authorization_targets(&request.input, caller, &mut transaction);
        targets.await.expect("reads")
    }
}

async fn add_user(world: &World, number: &str, name: &str) -> Caller {
    let account = account(number);
    let mut transaction = world.catalog.begin().await.expect("begins");
    let new = NewAccount {
        account,
        name: "test".to_owned(),
    };
    transaction.create_account(new).await.expect("is new");
    let id = new_unique_id(IdPrefix::User, world.entropy.as_ref());
    let new = NewIdentity {
        id: id.clone(),
        kind: IdentityKind::User,
        name: name.to_owned(),
        path: "/".to_owned(),
        boundary_arn: None,
        role: None,
        tags: Vec::new(),
    };
    transaction
        .identities(account)
        .create_identity(new)
        .await
        .expect("is new");
    transaction.commit().await.expect("commits");
    Caller {
        principal: Principal::User(User {
            account,
            name: name.to_owned(),
            path: "/".to_owned(),
            id,
        }),
        account,
        account_alias: None,
        access_key_id: "AKIAEXAMPLE".to_owned(),
        session: None,
    }
}

fn refusal(service: QueryService, body: &[u8]) -> (QueryErrorCode, String) {
    let error = QueryRequest::parse(service, body).expect_err("must be refused");
    (error.code, error.message)
}

#[test]
fn every_row_of_the_tables_is_unique_and_says_what_it_is_about() {
    for service in [QueryService::Iam, QueryService::Sts, QueryService::Cairn] {
        let mut names = BTreeSet::new();
        for operation in service.operations() {
            assert!(
                names.insert(operation.name),
                "{} stands twice",
                operation.name
            );
            assert_eq!(operation.service, service, "{}", operation.name);
            let says_read = ["Get", "List"]
                .iter()
                .any(|verb| operation.name.starts_with(verb));
            let is_read = !operation.is_write();
            assert_eq!(
                says_read || service == QueryService::Sts,
                is_read,
                "{}",
                operation.name
            );
            assert_eq!(operation.read_only, is_read, "{}", operation.name);
            let mut parameters = BTreeSet::new();
            for parameter in operation.parameters {
                assert!(parameters.insert(parameter.name), "{}", operation.name);
            }
            // The resource can be named only from parameters that the call must have.
            let needed = match operation.resource {
                ResourceRule::Policy => Some("PolicyArn"),
                ResourceRule::NewPolicy => Some("PolicyName"),
                ResourceRule::KeyOwner => Some("AccessKeyId"),
                ResourceRule::AssumedRole => Some("RoleArn"),
                ResourceRule::NewIdentity(kind) | ResourceRule::Identity(kind) => {
                    Some(match kind {
                        IdentityKind::User => "UserName",
                        IdentityKind::Group => "GroupName",
                        IdentityKind::Role => "RoleName",
                    })
                }
                _ => None,
            };
            if let Some(needed) = needed {
                assert!(
                    parameters.contains(needed),
                    "{} lacks {needed}",
                    operation.name
                );
            }
        }
    }
}

// Proves: SEC-102
#[test]
fn only_calls_about_oneself_are_open_to_everyone() {
    let rows = QueryService::Iam
        .operations()
        .iter()
        .chain(QueryService::Sts.operations());
    let open: Vec<&str> = rows
        .filter(|row| row.resource == ResourceRule::Open)
        .map(|row| row.name)
        .collect();
    assert_eq!(open, ["GetCallerIdentity", "GetSessionToken"]);
}

#[test]
fn bodies_that_are_no_forms_are_refused() {
    for body in [
        &b"Action=GetUser&Version=\xff"[..],
        b"Action=%ff",
        b"UserName=a&UserName=b",
    ] {
        let (code, _) = refusal(QueryService::Iam, body);
        assert_eq!(code, QueryErrorCode::MalformedQueryString);
    }
    let crowded: Vec<String> = (0..2_000).map(|n| format!("a{n}=1")).collect();
    let (code, _) = refusal(QueryService::Iam, crowded.join("&").as_bytes());
    assert_eq!(code, QueryErrorCode::MalformedQueryString);
}

#[test]
fn actions_and_versions_that_do_not_exist_are_refused_by_name() {
    for body in [
        "Action=Nonsense&Version=2010-05-08",
        "Action=GetUser&Version=2011-06-15",
        "Action=AssumeRole&Version=2010-05-08",
        "Version=2010-05-08",
        "",
    ] {
        let (code, message) = refusal(QueryService::Iam, body.as_bytes());
        assert_eq!(code, QueryErrorCode::InvalidAction, "{body}");
        assert!(
            message.starts_with("Could not find operation "),
            "{message}"
        );
    }
}

#[test]
fn wrong_parameters_are_refused_in_the_words_of_iam() {
    let detected = "1 validation error detected: Value ";
    let cases: [(&[(&str, &str)], &str); 8] = [
        (
            &[("Action", "CreateUser")],
            "null at 'userName' failed to satisfy constraint: Member must not be null",
        ),
        (
            &[("Action", "CreateUser"), ("UserName", "a b")],
            "'a b' at 'userName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]+",
        ),
        (
            &[("Action", "CreateUser"), ("UserName", "")],
            "'' at 'userName' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (
            &[("Action", "ListUsers"), ("MaxItems", "0")],
            "'0' at 'maxItems' failed to satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (
            &[("Action", "ListUsers"), ("MaxItems", "1001")],
            "'1001' at 'maxItems' failed to satisfy constraint: Member must have value less than or equal to 1000",
        ),
        (
            &[
                ("Action", "UpdateAccessKey"),
                ("AccessKeyId", "AKIAIOSFODNN7EXAMPLE"),
                ("Status", "Off"),
            ],
            "'Off' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [Active, Inactive]",
        ),
        (
            &[
                ("Action", "CreateUser"),
                ("UserName", "a"),
                ("Path", "no-slash"),
            ],
            "'no-slash' at 'path' failed to satisfy constraint: Member must satisfy regular expression pattern: (\\u002F)|(\\u002F[\\u0021-\\u007E]+\\u002F)",
        ),
        (
            &[
                ("Action", "TagUser"),
                ("UserName", "a"),
                ("Tags.member.1.Key", "k"),
            ],
            "null at 'tags.1.member.value' failed to satisfy constraint: Member must not be null",
        ),
    ];
    for (pairs, expected) in cases {
        let mut pairs = pairs.to_vec();
        pairs.push(("Version", "2010-05-08"));
        let (code, message) = refusal(QueryService::Iam, &form(&pairs));
        assert_eq!(code, QueryErrorCode::ValidationError);
        assert_eq!(message, format!("{detected}{expected}"));
    }
    let long = "x".repeat(65);
    let pairs = [
        ("Action", "CreateUser"),
        ("Version", "2010-05-08"),
        ("UserName", &long),
    ];
    let (_, message) = refusal(QueryService::Iam, &form(&pairs));
    assert!(
        message.ends_with("Member must have length less than or equal to 64"),
        "{message}"
    );
}

#[test]
fn texts_survive_xml_whatever_they_hold() {
    let row = &QueryService::Iam.operations()[0];
    let hostile = "</Arn><Arn>&amp;\u{0}\u{b}\r\"é\u{ffff}";
    let answer = QueryAnswer::of(Fields::new().text("Arn", hostile));
    let xml = answer.xml(row, "</RequestId>");
    let mut reader = quick_xml::Reader::from_str(&xml);
    let mut depth = 0;
    loop {
        match reader.read_event().expect("is well formed") {
            quick_xml::events::Event::Start(_) => depth += 1,
            quick_xml::events::Event::End(_) => depth -= 1,
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0);
    assert_eq!(xml.matches("<Arn>").count(), 1, "{xml}");
    assert!(xml.contains("&lt;/Arn&gt;&lt;Arn&gt;&amp;amp;\u{fffd}\u{fffd}&#xD;&quot;é\u{fffd}"));
}

// Proves: SEC-024
#[test]
fn the_record_of_an_answer_has_no_secret_and_its_own_form_of_time() {
    let create_key = QueryService::Iam
        .operations()
        .iter()
        .find(|row| row.name == "CreateAccessKey")
        .expect("stands in the table");
    let key = Fields::new()
        .with("SecretAccessKey", Shape::Secret("hidden".to_owned()))
        .with("CreateDate", Shape::Time(NOW_MS))
        .with("Document", Shape::Document("{\"a b\"}".to_owned()));
    let answer = QueryAnswer::of(Fields::new().with("AccessKey", key.shape()));
    assert_eq!(
        answer.response_elements(create_key),
        json!({"accessKey": {"createDate": "Jul 19, 2023 9:25:09 PM", "document": "%7B%22a%20b%22%7D"}})
    );
    let xml = answer.xml(create_key, "r");
    assert!(xml.contains("<SecretAccessKey>hidden</SecretAccessKey>"));
    assert!(xml.contains("<CreateDate>2023-07-19T21:25:09Z</CreateDate>"));
}

#[test]
fn errors_have_one_form_and_tell_the_guilty_side() {
    let error = QueryError::new(QueryErrorCode::NoSuchEntity, "The <user> is gone.");
    let xml = error.xml(QueryService::Iam, "id-1");
    assert!(xml.starts_with("<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">"));
    for part in [
        "<Type>Sender</Type>",
        "<Code>NoSuchEntity</Code>",
        "<Message>The &lt;user&gt; is gone.</Message>",
        "<RequestId>id-1</RequestId>",
    ] {
        assert!(xml.contains(part), "{xml}");
    }
    assert_eq!(
        (error.http_status(), error.recorded_code()),
        (404, "NoSuchEntityException")
    );
    let failure = QueryError::new(QueryErrorCode::ServiceFailure, "x");
    assert!(
        failure
            .xml(QueryService::Sts, "r")
            .contains("<Type>Receiver</Type>")
    );
    assert_eq!(lower_camel("UserName"), "userName");
}
