//! The rows. Flat and long on purpose; every fact that the model states comes from the generated contract, the rest
//! is written here: the action's resource and further actions (the registers, else AWS's service authorization
//! reference), read or write, what is built.

use super::{
    Contract, Dependency, EventClass, Operation, Recording, ResourceRule, ResourceType, When,
};
use crate::generated::cloudtrail::contracts as cloudtrail;
use crate::generated::cloudtrail_data::contracts as cloudtrail_data;

/// The largest body of a CloudTrail request: 1 MiB, several times the largest that the constraints allow.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// The largest body of PutAuditEvents: up to 100 events or 1 MB a call (DSH-139).
const PUT_AUDIT_EVENTS_BYTES_MAX: usize = 1024 * 1024;

/// The audit event's data is the producer's own and stands in the event that it becomes (DSH-146).
const PUT_AUDIT_EVENTS_SENSITIVE: &[&str] = &["auditEvents.eventData"];

/// A row without what the model does not say: authorized on `*`, no further actions, not built.
const fn row(
    contract: &'static Contract,
    read_only: bool,
    iam_action: &'static str,
    resource: ResourceRule,
) -> Operation {
    Operation {
        id: contract.id,
        name: contract.name,
        service: contract.service,
        path: contract.path,
        iam_action,
        read_only,
        resource,
        dependencies: &[],
        recording: Recording {
            class: EventClass::Management,
            sensitive: &[],
            resource_type: None,
        },
        errors: contract.errors,
        idempotent: contract.idempotent,
        built: false,
        request_bytes_max: REQUEST_BYTES_MAX,
        input: contract.input,
        output: contract.output,
    }
}

const fn read(
    contract: &'static Contract,
    iam_action: &'static str,
    resource: ResourceRule,
) -> Operation {
    row(contract, true, iam_action, resource)
}

const fn write(
    contract: &'static Contract,
    iam_action: &'static str,
    resource: ResourceRule,
) -> Operation {
    row(contract, false, iam_action, resource)
}

const fn always_anywhere(action: &'static str) -> Dependency {
    Dependency {
        action,
        resource: ResourceRule::Any,
        when: When::Always,
    }
}

const fn when_true(member: &'static str, action: &'static str) -> Dependency {
    Dependency {
        action,
        resource: ResourceRule::Any,
        when: When::True(member),
    }
}

// SEC-133: tags may be passed in the creating request; giving them needs what adding them needs.
const ADD_TAGS_IN_TAGS: Dependency =
    Dependency::given("Tags", "cloudtrail:AddTags", ResourceRule::Any);
const ADD_TAGS_IN_TAGS_LIST: Dependency =
    Dependency::given("TagsList", "cloudtrail:AddTags", ResourceRule::Any);

// SEC-137: an organization's trail or store needs the service-linked role, which the call makes when it is missing.
const ORGANIZATION_STORE: &str = "OrganizationEnabled";
const ORGANIZATION_TRAIL: &str = "IsOrganizationTrail";
const SERVICE_LINKED_ROLE: Dependency =
    when_true(ORGANIZATION_STORE, "iam:CreateServiceLinkedRole");
const SERVICE_ACCESS_LIST: Dependency = when_true(
    ORGANIZATION_STORE,
    "organizations:ListAWSServiceAccessForOrganization",
);
const SERVICE_LINKED_ROLE_OF_TRAIL: Dependency =
    when_true(ORGANIZATION_TRAIL, "iam:CreateServiceLinkedRole");
const SERVICE_ACCESS_LIST_OF_TRAIL: Dependency = when_true(
    ORGANIZATION_TRAIL,
    "organizations:ListAWSServiceAccessForOrganization",
);
const ALWAYS_CREATE_SERVICE_LINKED_ROLE: Dependency =
    always_anywhere("iam:CreateServiceLinkedRole");
const ALWAYS_GET_ROLE: Dependency = always_anywhere("iam:GetRole");

// SEC-177: the role that delivers to a log group is passed on.
const PASS_LOGS_ROLE: Dependency = Dependency::given(
    "CloudWatchLogsRoleArn",
    "iam:PassRole",
    ResourceRule::Verbatim(&["CloudWatchLogsRoleArn"]),
);
const KEY_OF_STORE_DECRYPT: Dependency = Dependency::given(
    "KmsKeyId",
    "kms:Decrypt",
    ResourceRule::Verbatim(&["KmsKeyId"]),
);
const KEY_OF_STORE_GENERATE: Dependency = Dependency::given(
    "KmsKeyId",
    "kms:GenerateDataKey",
    ResourceRule::Verbatim(&["KmsKeyId"]),
);

// One row for each `OperationId`: without its row, an operation of the models does not compile.

pub(crate) static ADD_TAGS: Operation = Operation {
    built: true,
    ..write(
        &cloudtrail::ADD_TAGS,
        "cloudtrail:AddTags",
        ResourceRule::Arn("ResourceId"),
    )
};

pub(crate) static CANCEL_QUERY: Operation = write(
    &cloudtrail::CANCEL_QUERY,
    "cloudtrail:CancelQuery",
    ResourceRule::StoreOfQuery("EventDataStore"),
);

pub(crate) static CREATE_CHANNEL: Operation = Operation {
    dependencies: &[ADD_TAGS_IN_TAGS],
    ..write(
        &cloudtrail::CREATE_CHANNEL,
        "cloudtrail:CreateChannel",
        ResourceRule::Any,
    )
};

pub(crate) static CREATE_DASHBOARD: Operation = Operation {
    dependencies: &[
        ADD_TAGS_IN_TAGS_LIST,
        // The first refresh runs every widget's query (DSH-224).
        Dependency::given(
            "Widgets",
            "cloudtrail:StartQuery",
            ResourceRule::StoresOfWidgets("Widgets"),
        ),
    ],
    ..write(
        &cloudtrail::CREATE_DASHBOARD,
        "cloudtrail:CreateDashboard",
        ResourceRule::Any,
    )
};

pub(crate) static CREATE_EVENT_DATA_STORE: Operation = Operation {
    dependencies: &[
        ADD_TAGS_IN_TAGS_LIST,
        // SEC-343: whoever creates a store under a key must be able to use the key.
        KEY_OF_STORE_DECRYPT,
        KEY_OF_STORE_GENERATE,
        SERVICE_LINKED_ROLE,
        SERVICE_ACCESS_LIST,
    ],
    ..write(
        &cloudtrail::CREATE_EVENT_DATA_STORE,
        "cloudtrail:CreateEventDataStore",
        ResourceRule::Any,
    )
};

pub(crate) static CREATE_TRAIL: Operation = Operation {
    built: true,
    dependencies: &[
        ADD_TAGS_IN_TAGS_LIST,
        PASS_LOGS_ROLE,
        SERVICE_LINKED_ROLE_OF_TRAIL,
        SERVICE_ACCESS_LIST_OF_TRAIL,
    ],
    ..write(
        &cloudtrail::CREATE_TRAIL,
        "cloudtrail:CreateTrail",
        ResourceRule::Any,
    )
};

pub(crate) static DELETE_CHANNEL: Operation = write(
    &cloudtrail::DELETE_CHANNEL,
    "cloudtrail:DeleteChannel",
    ResourceRule::Channel("Channel"),
);

pub(crate) static DELETE_DASHBOARD: Operation = write(
    &cloudtrail::DELETE_DASHBOARD,
    "cloudtrail:DeleteDashboard",
    ResourceRule::Dashboard("DashboardId"),
);

pub(crate) static DELETE_EVENT_DATA_STORE: Operation = write(
    &cloudtrail::DELETE_EVENT_DATA_STORE,
    "cloudtrail:DeleteEventDataStore",
    ResourceRule::EventDataStore("EventDataStore"),
);

pub(crate) static DELETE_RESOURCE_POLICY: Operation = write(
    &cloudtrail::DELETE_RESOURCE_POLICY,
    "cloudtrail:DeleteResourcePolicy",
    ResourceRule::Arn("ResourceArn"),
);

pub(crate) static DELETE_TRAIL: Operation = Operation {
    built: true,
    ..write(
        &cloudtrail::DELETE_TRAIL,
        "cloudtrail:DeleteTrail",
        ResourceRule::Trail("Name"),
    )
};

pub(crate) static DEREGISTER_ORGANIZATION_DELEGATED_ADMIN: Operation = Operation {
    dependencies: &[
        always_anywhere("organizations:DeregisterDelegatedAdministrator"),
        always_anywhere("organizations:ListAWSServiceAccessForOrganization"),
    ],
    ..write(
        &cloudtrail::DEREGISTER_ORGANIZATION_DELEGATED_ADMIN,
        "cloudtrail:DeregisterOrganizationDelegatedAdmin",
        ResourceRule::Any,
    )
};

pub(crate) static DESCRIBE_QUERY: Operation = read(
    &cloudtrail::DESCRIBE_QUERY,
    "cloudtrail:DescribeQuery",
    ResourceRule::StoreOfQuery("EventDataStore"),
);

pub(crate) static DESCRIBE_TRAILS: Operation = Operation {
    built: true,
    ..read(
        &cloudtrail::DESCRIBE_TRAILS,
        "cloudtrail:DescribeTrails",
        ResourceRule::Any,
    )
};

pub(crate) static DISABLE_FEDERATION: Operation = write(
    &cloudtrail::DISABLE_FEDERATION,
    "cloudtrail:DisableFederation",
    ResourceRule::EventDataStore("EventDataStore"),
);

pub(crate) static ENABLE_FEDERATION: Operation = Operation {
    dependencies: &[
        // EDS-196, DSH-034
        Dependency::given(
            "FederationRoleArn",
            "iam:PassRole",
            ResourceRule::Verbatim(&["FederationRoleArn"]),
        ),
        Dependency::given(
            "FederationRoleArn",
            "iam:GetRole",
            ResourceRule::Verbatim(&["FederationRoleArn"]),
        ),
    ],
    ..write(
        &cloudtrail::ENABLE_FEDERATION,
        "cloudtrail:EnableFederation",
        ResourceRule::EventDataStore("EventDataStore"),
    )
};

pub(crate) static GENERATE_QUERY: Operation = write(
    &cloudtrail::GENERATE_QUERY,
    "cloudtrail:GenerateQuery",
    ResourceRule::EventDataStores("EventDataStores"),
);

pub(crate) static GET_CHANNEL: Operation = read(
    &cloudtrail::GET_CHANNEL,
    "cloudtrail:GetChannel",
    ResourceRule::Channel("Channel"),
);

pub(crate) static GET_DASHBOARD: Operation = read(
    &cloudtrail::GET_DASHBOARD,
    "cloudtrail:GetDashboard",
    ResourceRule::Dashboard("DashboardId"),
);

pub(crate) static GET_EVENT_CONFIGURATION: Operation = read(
    &cloudtrail::GET_EVENT_CONFIGURATION,
    "cloudtrail:GetEventConfiguration",
    ResourceRule::TrailOrEventDataStore("TrailName", "EventDataStore"),
);

pub(crate) static GET_EVENT_DATA_STORE: Operation = read(
    &cloudtrail::GET_EVENT_DATA_STORE,
    "cloudtrail:GetEventDataStore",
    ResourceRule::EventDataStore("EventDataStore"),
);

pub(crate) static GET_EVENT_SELECTORS: Operation = Operation {
    built: true,
    ..read(
        &cloudtrail::GET_EVENT_SELECTORS,
        "cloudtrail:GetEventSelectors",
        ResourceRule::Trail("TrailName"),
    )
};

pub(crate) static GET_IMPORT: Operation = read(
    &cloudtrail::GET_IMPORT,
    "cloudtrail:GetImport",
    ResourceRule::Any,
);

pub(crate) static GET_INSIGHT_SELECTORS: Operation = Operation {
    built: true,
    ..read(
        &cloudtrail::GET_INSIGHT_SELECTORS,
        "cloudtrail:GetInsightSelectors",
        ResourceRule::TrailOrEventDataStore("TrailName", "EventDataStore"),
    )
};

pub(crate) static GET_QUERY_RESULTS: Operation = read(
    &cloudtrail::GET_QUERY_RESULTS,
    "cloudtrail:GetQueryResults",
    ResourceRule::StoreOfQuery("EventDataStore"),
);

pub(crate) static GET_RESOURCE_POLICY: Operation = read(
    &cloudtrail::GET_RESOURCE_POLICY,
    "cloudtrail:GetResourcePolicy",
    ResourceRule::Arn("ResourceArn"),
);

pub(crate) static GET_TRAIL: Operation = Operation {
    built: true,
    ..read(
        &cloudtrail::GET_TRAIL,
        "cloudtrail:GetTrail",
        ResourceRule::Trail("Name"),
    )
};

pub(crate) static GET_TRAIL_STATUS: Operation = Operation {
    built: true,
    ..read(
        &cloudtrail::GET_TRAIL_STATUS,
        "cloudtrail:GetTrailStatus",
        ResourceRule::Trail("Name"),
    )
};

pub(crate) static LIST_CHANNELS: Operation = read(
    &cloudtrail::LIST_CHANNELS,
    "cloudtrail:ListChannels",
    ResourceRule::Any,
);

pub(crate) static LIST_DASHBOARDS: Operation = read(
    &cloudtrail::LIST_DASHBOARDS,
    "cloudtrail:ListDashboards",
    ResourceRule::Any,
);

pub(crate) static LIST_EVENT_DATA_STORES: Operation = read(
    &cloudtrail::LIST_EVENT_DATA_STORES,
    "cloudtrail:ListEventDataStores",
    ResourceRule::Any,
);

pub(crate) static LIST_IMPORT_FAILURES: Operation = read(
    &cloudtrail::LIST_IMPORT_FAILURES,
    "cloudtrail:ListImportFailures",
    ResourceRule::Any,
);

pub(crate) static LIST_IMPORTS: Operation = read(
    &cloudtrail::LIST_IMPORTS,
    "cloudtrail:ListImports",
    ResourceRule::Any,
);

pub(crate) static LIST_INSIGHTS_DATA: Operation = read(
    &cloudtrail::LIST_INSIGHTS_DATA,
    "cloudtrail:ListInsightsData",
    ResourceRule::Arn("InsightSource"),
);

pub(crate) static LIST_INSIGHTS_METRIC_DATA: Operation = read(
    &cloudtrail::LIST_INSIGHTS_METRIC_DATA,
    "cloudtrail:ListInsightsMetricData",
    ResourceRule::Trail("TrailName"),
);

pub(crate) static LIST_PUBLIC_KEYS: Operation = Operation {
    built: true,
    ..read(
        &cloudtrail::LIST_PUBLIC_KEYS,
        "cloudtrail:ListPublicKeys",
        ResourceRule::Any,
    )
};

pub(crate) static LIST_QUERIES: Operation = read(
    &cloudtrail::LIST_QUERIES,
    "cloudtrail:ListQueries",
    ResourceRule::EventDataStore("EventDataStore"),
);

pub(crate) static LIST_TAGS: Operation = Operation {
    built: true,
    ..read(
        &cloudtrail::LIST_TAGS,
        "cloudtrail:ListTags",
        ResourceRule::Arns("ResourceIdList"),
    )
};

pub(crate) static LIST_TRAILS: Operation = Operation {
    built: true,
    ..read(
        &cloudtrail::LIST_TRAILS,
        "cloudtrail:ListTrails",
        ResourceRule::Any,
    )
};

pub(crate) static LOOKUP_EVENTS: Operation = Operation {
    built: true,
    ..read(
        &cloudtrail::LOOKUP_EVENTS,
        "cloudtrail:LookupEvents",
        ResourceRule::Any,
    )
};

pub(crate) static PUT_EVENT_CONFIGURATION: Operation = write(
    &cloudtrail::PUT_EVENT_CONFIGURATION,
    "cloudtrail:PutEventConfiguration",
    ResourceRule::TrailOrEventDataStore("TrailName", "EventDataStore"),
);

pub(crate) static PUT_EVENT_SELECTORS: Operation = Operation {
    built: true,
    ..write(
        &cloudtrail::PUT_EVENT_SELECTORS,
        "cloudtrail:PutEventSelectors",
        ResourceRule::Trail("TrailName"),
    )
};

pub(crate) static PUT_INSIGHT_SELECTORS: Operation = Operation {
    built: true,
    ..write(
        &cloudtrail::PUT_INSIGHT_SELECTORS,
        "cloudtrail:PutInsightSelectors",
        ResourceRule::TrailOrEventDataStore("TrailName", "EventDataStore"),
    )
};

pub(crate) static PUT_RESOURCE_POLICY: Operation = write(
    &cloudtrail::PUT_RESOURCE_POLICY,
    "cloudtrail:PutResourcePolicy",
    ResourceRule::Arn("ResourceArn"),
);

pub(crate) static REGISTER_ORGANIZATION_DELEGATED_ADMIN: Operation = Operation {
    dependencies: &[
        // TRL-223
        ALWAYS_CREATE_SERVICE_LINKED_ROLE,
        ALWAYS_GET_ROLE,
        always_anywhere("organizations:ListAWSServiceAccessForOrganization"),
        always_anywhere("organizations:RegisterDelegatedAdministrator"),
    ],
    ..write(
        &cloudtrail::REGISTER_ORGANIZATION_DELEGATED_ADMIN,
        "cloudtrail:RegisterOrganizationDelegatedAdmin",
        ResourceRule::Any,
    )
};

pub(crate) static REMOVE_TAGS: Operation = Operation {
    built: true,
    ..write(
        &cloudtrail::REMOVE_TAGS,
        "cloudtrail:RemoveTags",
        ResourceRule::Arn("ResourceId"),
    )
};

pub(crate) static RESTORE_EVENT_DATA_STORE: Operation = write(
    &cloudtrail::RESTORE_EVENT_DATA_STORE,
    "cloudtrail:RestoreEventDataStore",
    ResourceRule::EventDataStore("EventDataStore"),
);

pub(crate) static SEARCH_SAMPLE_QUERIES: Operation = read(
    &cloudtrail::SEARCH_SAMPLE_QUERIES,
    "cloudtrail:SearchSampleQueries",
    ResourceRule::Any,
);

pub(crate) static START_DASHBOARD_REFRESH: Operation = Operation {
    dependencies: &[
        // DSH-224
        Dependency {
            action: "cloudtrail:StartQuery",
            resource: ResourceRule::StoresOfDashboard("DashboardId"),
            when: When::Always,
        },
    ],
    ..write(
        &cloudtrail::START_DASHBOARD_REFRESH,
        "cloudtrail:StartDashboardRefresh",
        ResourceRule::Dashboard("DashboardId"),
    )
};

pub(crate) static START_EVENT_DATA_STORE_INGESTION: Operation = write(
    &cloudtrail::START_EVENT_DATA_STORE_INGESTION,
    "cloudtrail:StartEventDataStoreIngestion",
    ResourceRule::EventDataStore("EventDataStore"),
);

pub(crate) static START_IMPORT: Operation = Operation {
    dependencies: &[Dependency::given(
        "ImportSource",
        "iam:PassRole",
        ResourceRule::Verbatim(&["ImportSource", "S3", "S3BucketAccessRoleArn"]),
    )],
    ..write(
        &cloudtrail::START_IMPORT,
        "cloudtrail:StartImport",
        ResourceRule::Any,
    )
};

pub(crate) static START_LOGGING: Operation = Operation {
    built: true,
    ..write(
        &cloudtrail::START_LOGGING,
        "cloudtrail:StartLogging",
        ResourceRule::Trail("Name"),
    )
};

pub(crate) static START_QUERY: Operation = write(
    &cloudtrail::START_QUERY,
    "cloudtrail:StartQuery",
    ResourceRule::StoresOfStatement("QueryStatement"),
);

pub(crate) static STOP_EVENT_DATA_STORE_INGESTION: Operation = write(
    &cloudtrail::STOP_EVENT_DATA_STORE_INGESTION,
    "cloudtrail:StopEventDataStoreIngestion",
    ResourceRule::EventDataStore("EventDataStore"),
);

pub(crate) static STOP_IMPORT: Operation = write(
    &cloudtrail::STOP_IMPORT,
    "cloudtrail:StopImport",
    ResourceRule::Any,
);

pub(crate) static STOP_LOGGING: Operation = Operation {
    built: true,
    ..write(
        &cloudtrail::STOP_LOGGING,
        "cloudtrail:StopLogging",
        ResourceRule::Trail("Name"),
    )
};

pub(crate) static UPDATE_CHANNEL: Operation = write(
    &cloudtrail::UPDATE_CHANNEL,
    "cloudtrail:UpdateChannel",
    ResourceRule::Channel("Channel"),
);

pub(crate) static UPDATE_DASHBOARD: Operation = write(
    &cloudtrail::UPDATE_DASHBOARD,
    "cloudtrail:UpdateDashboard",
    ResourceRule::Dashboard("DashboardId"),
);

pub(crate) static UPDATE_EVENT_DATA_STORE: Operation = Operation {
    dependencies: &[
        KEY_OF_STORE_DECRYPT,
        KEY_OF_STORE_GENERATE,
        SERVICE_LINKED_ROLE,
        SERVICE_ACCESS_LIST,
    ],
    ..write(
        &cloudtrail::UPDATE_EVENT_DATA_STORE,
        "cloudtrail:UpdateEventDataStore",
        ResourceRule::EventDataStore("EventDataStore"),
    )
};

pub(crate) static UPDATE_TRAIL: Operation = Operation {
    built: true,
    dependencies: &[
        PASS_LOGS_ROLE,
        SERVICE_LINKED_ROLE_OF_TRAIL,
        SERVICE_ACCESS_LIST_OF_TRAIL,
    ],
    ..write(
        &cloudtrail::UPDATE_TRAIL,
        "cloudtrail:UpdateTrail",
        ResourceRule::Trail("Name"),
    )
};

pub(crate) static PUT_AUDIT_EVENTS: Operation = Operation {
    recording: Recording {
        class: EventClass::Data,
        sensitive: PUT_AUDIT_EVENTS_SENSITIVE,
        resource_type: Some(ResourceType::Channel),
    },
    request_bytes_max: PUT_AUDIT_EVENTS_BYTES_MAX,
    ..write(
        &cloudtrail_data::PUT_AUDIT_EVENTS,
        "cloudtrail-data:PutAuditEvents",
        ResourceRule::Channel("channelArn"),
    )
};
