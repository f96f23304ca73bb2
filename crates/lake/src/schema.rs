//! The columns of an event table: those that queries see (QRY-244 to QRY-254), in the manual's order and
//! case, then the hidden ones, whose names begin with `_` and which carry what pruning and paging need.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema as ArrowSchema, SchemaRef as ArrowSchemaRef, TimeUnit};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{
    ListType, MapType, NestedField, NestedFieldRef, NullOrder, PrimitiveType, Schema,
    SortDirection, SortField, SortOrder, StructType, Transform, Type, UnboundPartitionSpec,
};

use crate::error::LakeError;

/// The type of a column or of a struct's member.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// string
    Text,
    /// boolean
    Flag,
    /// int
    Int,
    /// long
    Long,
    /// timestamp, microseconds, UTC
    Time,
    /// `map<string,string>`
    Map,
    /// struct
    Struct(&'static [Member]),
    /// array
    List(&'static Kind),
}

impl Kind {
    fn is_held_by(self, found: &DataType) -> bool {
        match (self, found) {
            (Self::Map | Self::Struct(_), _)
            | (Self::Text, DataType::Utf8)
            | (Self::Flag, DataType::Boolean)
            | (Self::Int, DataType::Int32)
            | (Self::Long, DataType::Int64)
            | (Self::Time, DataType::Timestamp(TimeUnit::Microsecond, _)) => true,
            (Self::List(kind), DataType::List(element)) => kind.is_held_by(element.data_type()),
            _ => false,
        }
    }
}

/// A column or a member of a struct.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    /// As records spell it; the column is named the same in lower case (QRY-243). Members are found by this
    /// spelling alone: of two that differ in case, one would speak for the other.
    pub(crate) name: &'static str,
    /// Type.
    pub(crate) kind: Kind,
    required: bool,
}

const fn member(name: &'static str, kind: Kind) -> Member {
    Member {
        name,
        kind,
        required: false,
    }
}

const fn text(name: &'static str) -> Member {
    member(name, Kind::Text)
}

const fn required(name: &'static str, kind: Kind) -> Member {
    Member {
        name,
        kind,
        required: true,
    }
}

/// `userIdentity.sessionContext` (REC-098; end of the list as QRY-251).
const SESSION_CONTEXT: &[Member] = &[
    member(
        "attributes",
        Kind::Struct(&[member("creationDate", Kind::Time), text("mfaAuthenticated")]),
    ),
    member(
        "sessionIssuer",
        Kind::Struct(&[
            text("type"),
            text("principalId"),
            text("arn"),
            text("accountId"),
            text("userName"),
        ]),
    ),
    member(
        "webIdFederationData",
        Kind::Struct(&[text("federatedProvider"), member("attributes", Kind::Map)]),
    ),
    text("sourceIdentity"),
    text("ec2RoleDelivery"),
    text("ec2IssuedInVpc"),
];

/// `userIdentity` (QRY-251, QRY-252).
const USER_IDENTITY: &[Member] = &[
    text("type"),
    text("principalId"),
    text("arn"),
    text("accountId"),
    text("accessKeyId"),
    text("userName"),
    member("sessionContext", Kind::Struct(SESSION_CONTEXT)),
    member(
        "onBehalfOf",
        Kind::Struct(&[text("userId"), text("identityStoreArn")]),
    ),
    member(
        "inScopeOf",
        Kind::Struct(&[
            text("sourceArn"),
            text("sourceAccount"),
            text("issuerType"),
            text("credentialsIssuedTo"),
        ]),
    ),
    text("invokedBy"),
    text("identityProvider"),
];

/// An entry of `resources` (QRY-249).
const RESOURCE: Kind = Kind::Struct(&[
    text("accountId"),
    text("type"),
    text("ARN"),
    text("ARNPrefix"),
]);

/// `eventContext` (QRY-254, SEL-214).
const EVENT_CONTEXT: &[Member] = &[
    member("requestContext", Kind::Map),
    member(
        "tagContext",
        Kind::Struct(&[
            member("principalTags", Kind::Map),
            member(
                "resourceTags",
                Kind::List(&Kind::Struct(&[text("arn"), member("tags", Kind::Map)])),
            ),
        ]),
    ),
];

/// All columns in order. The first [`VISIBLE_COLUMNS`] are what queries see.
pub(crate) const COLUMNS: &[Member] = &[
    text("eventVersion"),
    member("userIdentity", Kind::Struct(USER_IDENTITY)),
    required("eventTime", Kind::Time),
    text("eventSource"),
    text("eventName"),
    text("awsRegion"),
    text("sourceIPAddress"),
    text("userAgent"),
    text("errorCode"),
    text("errorMessage"),
    member("requestParameters", Kind::Map),
    member("responseElements", Kind::Map),
    member("additionalEventData", Kind::Map),
    text("requestID"),
    text("eventID"),
    member("readOnly", Kind::Flag),
    member("resources", Kind::List(&RESOURCE)),
    text("eventType"),
    text("apiVersion"),
    member("managementEvent", Kind::Flag),
    text("recipientAccountId"),
    text("sharedEventID"),
    text("annotation"),
    text("vpcEndpointId"),
    text("vpcEndpointAccountId"),
    member("serviceEventDetails", Kind::Map),
    member("addendum", Kind::Map),
    member("edgeDeviceDetails", Kind::Map),
    member("insightDetails", Kind::Map),
    text("eventCategory"),
    member(
        "tlsDetails",
        Kind::Struct(&[
            text("tlsVersion"),
            text("cipherSuite"),
            text("clientProvidedHostHeader"),
        ]),
    ),
    text("sessionCredentialFromConsole"),
    text("eventjson"),
    text("eventjsonchecksum"),
    member("eventContext", Kind::Struct(EVENT_CONTEXT)),
    required("_partition", Kind::Int),
    required("_sequence", Kind::Long),
    required("_account", Kind::Text),
    text("_lookup_user"),
    text("_access_key"),
    member("_resource_names", Kind::List(&Kind::Text)),
    member("_resource_types", Kind::List(&Kind::Text)),
    text("_useridentity_type"),
    text("_useridentity_arn"),
    text("_useridentity_accountid"),
    text("_useridentity_principalid"),
    text("_useridentity_username"),
    text("_useridentity_invokedby"),
    text("_sessionissuer_arn"),
    text("_sessionissuer_username"),
];

/// How many of [`COLUMNS`] queries see.
pub const VISIBLE_COLUMNS: usize = 35;

const _: () = assert!(
    COLUMNS[VISIBLE_COLUMNS].name.as_bytes()[0] == b'_'
        && COLUMNS[VISIBLE_COLUMNS - 1].name.as_bytes()[0] != b'_'
);

/// The place of a column in a row batch.
pub(crate) fn column_index(name: &str) -> Option<usize> {
    COLUMNS
        .iter()
        .position(|column| column.name.eq_ignore_ascii_case(name))
}

/// The Iceberg schema of a new event table.
pub(crate) fn iceberg_schema() -> Result<Schema, LakeError> {
    let mut ids = FieldIds { next: 1 };
    let fields = ids.members(COLUMNS);
    Schema::builder()
        .with_fields(fields)
        .build()
        .map_err(LakeError::iceberg("building a schema"))
}

/// The same columns for Arrow, with the table's field IDs in their metadata.
///
/// An error if the table was made with other columns than this build writes.
pub(crate) fn arrow_schema(schema: &Schema) -> Result<ArrowSchemaRef, LakeError> {
    let arrow: ArrowSchema = schema_to_arrow_schema(schema)
        .map_err(LakeError::iceberg("translating a schema to Arrow"))?;
    let same = arrow.fields().len() == COLUMNS.len()
        && arrow
            .fields()
            .iter()
            .zip(COLUMNS)
            .all(|(field, column)| *field.name() == column.name.to_ascii_lowercase());
    if same {
        Ok(Arc::new(arrow))
    } else {
        Err(LakeError::UnknownSchema {
            columns: arrow.fields().len(),
        })
    }
}

/// The name of a column of `file` that lookups cannot read, because it has another type than this build
/// writes. Maps and structs are not asked about: lookups never read them.
pub(crate) fn wrong_column(file: &ArrowSchema) -> Option<&str> {
    let wrong = |field: &&Arc<arrow::datatypes::Field>| {
        let known = column_index(field.name()).map(|at| COLUMNS[at].kind);
        known.is_some_and(|kind| !kind.is_held_by(field.data_type()))
    };
    file.fields()
        .iter()
        .find(wrong)
        .map(|field| field.name().as_str())
}

/// Partitioned by the day of the event's time.
pub(crate) fn partition_spec(schema: &Schema) -> Result<UnboundPartitionSpec, LakeError> {
    UnboundPartitionSpec::builder()
        .add_partition_field(
            field_id(schema, "eventtime")?,
            "eventtime_day",
            Transform::Day,
        )
        .map(iceberg::spec::UnboundPartitionSpecBuilder::build)
        .map_err(LakeError::iceberg("building a partition spec"))
}

/// Account and Region ascending, then newest first, so that a reader of the newest events stops early.
pub(crate) fn sort_order(schema: &Schema) -> Result<SortOrder, LakeError> {
    let mut builder = SortOrder::builder();
    for (name, direction) in [
        ("_account", SortDirection::Ascending),
        ("awsregion", SortDirection::Ascending),
        ("eventtime", SortDirection::Descending),
        ("_sequence", SortDirection::Descending),
    ] {
        builder.with_sort_field(
            SortField::builder()
                .source_id(field_id(schema, name)?)
                .transform(Transform::Identity)
                .direction(direction)
                .null_order(match direction {
                    SortDirection::Ascending => NullOrder::First,
                    SortDirection::Descending => NullOrder::Last,
                })
                .build(),
        );
    }
    builder
        .build(schema)
        .map_err(LakeError::iceberg("building a sort order"))
}

/// The ID of a top-level column.
pub(crate) fn field_id(schema: &Schema, name: &str) -> Result<i32, LakeError> {
    schema
        .field_by_name(name)
        .map(|field| field.id)
        .ok_or(LakeError::UnknownSchema { columns: 0 })
}

struct FieldIds {
    next: i32,
}

impl FieldIds {
    fn take(&mut self) -> i32 {
        let id = self.next;
        self.next += 1;
        id
    }

    fn members(&mut self, members: &[Member]) -> Vec<NestedFieldRef> {
        members
            .iter()
            .map(|member| {
                let id = self.take();
                let kind = self.kind(member.kind);
                let name = member.name.to_ascii_lowercase();
                Arc::new(NestedField::new(id, name, kind, member.required))
            })
            .collect()
    }

    fn kind(&mut self, kind: Kind) -> Type {
        match kind {
            Kind::Text => Type::Primitive(PrimitiveType::String),
            Kind::Flag => Type::Primitive(PrimitiveType::Boolean),
            Kind::Int => Type::Primitive(PrimitiveType::Int),
            Kind::Long => Type::Primitive(PrimitiveType::Long),
            Kind::Time => Type::Primitive(PrimitiveType::Timestamp),
            Kind::Map => {
                let text = Type::Primitive(PrimitiveType::String);
                let key = NestedField::map_key_element(self.take(), text.clone());
                let value = NestedField::map_value_element(self.take(), text, false);
                Type::Map(MapType::new(Arc::new(key), Arc::new(value)))
            }
            Kind::Struct(members) => Type::Struct(StructType::new(self.members(members))),
            Kind::List(element) => {
                let id = self.take();
                let kind = self.kind(*element);
                Type::List(ListType::new(Arc::new(NestedField::list_element(
                    id, kind, false,
                ))))
            }
        }
    }
}
