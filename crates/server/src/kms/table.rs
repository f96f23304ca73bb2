//! Every operation of KMS: those of keys, aliases, policies and their use are built, the others answer
//! `UnsupportedOperationException`.

use super::asking::{Asks, Naming, OWN};
use super::ciphertext::{CIPHERTEXT_BYTES_MAX, PLAINTEXT_BYTES_MAX};
use super::members::{Form, Kind, Member, optional, required};
use super::operation::{KmsOperation, Run};
use super::{aliases, cryptography, deletion, key_policies, keys, rotation, states, tags};

/// A symmetric key and its uses; anyone may ask for others, and hears that they are not there.
const KEY_SPECS: Kind = Kind::OneOf(&[
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "SYMMETRIC_DEFAULT",
    "HMAC_224",
    "HMAC_256",
    "HMAC_384",
    "HMAC_512",
    "SM2",
    "ML_DSA_44",
    "ML_DSA_65",
    "ML_DSA_87",
    "ECC_NIST_EDWARDS25519",
]);
const KEY_USAGES: Kind = Kind::OneOf(&[
    "SIGN_VERIFY",
    "ENCRYPT_DECRYPT",
    "GENERATE_VERIFY_MAC",
    "KEY_AGREEMENT",
]);
const ORIGINS: Kind = Kind::OneOf(&["AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"]);
const ALGORITHMS: Kind = Kind::OneOf(&[
    "SYMMETRIC_DEFAULT",
    "RSAES_OAEP_SHA_1",
    "RSAES_OAEP_SHA_256",
    "SM2PKE",
]);
const DATA_KEY_SPECS: Kind = Kind::OneOf(&["AES_256", "AES_128"]);

const KEY_NAME: Kind = Kind::Text(1, 2_048, None);
const ALIAS_NAME: Kind = Kind::Text(1, 256, Some(ALIAS_FORM));
const POLICY: Kind = Kind::Text(1, 131_072, Some(POLICY_FORM));
const POLICY_NAME: Kind = Kind::Text(1, 128, None);
const DESCRIPTION: Kind = Kind::Text(0, 8_192, None);
const MARKER: Kind = Kind::Text(1, 1_024, None);
const LIMIT: Kind = Kind::Integer(1, 1_000);
const RANDOM_BYTES: Kind = Kind::Integer(1, 1_024);

const ALIAS_FORM: Form = Form {
    pattern: "^[a-zA-Z0-9:/_-]+$",
    matches: |text| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":/_-".contains(&byte);
        text.bytes().all(allowed)
    },
};
const POLICY_FORM: Form = Form {
    pattern: "[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+",
    matches: |text| {
        let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}');
        text.chars().all(allowed)
    },
};

const KEY_ID: Member = required("KeyId", KEY_NAME);
const GRANT_TOKENS: Member = optional("GrantTokens", Kind::Tokens);
const CONTEXT: Member = optional("EncryptionContext", Kind::Context);
const DRY_RUN: Member = optional("DryRun", Kind::Flag);
const MODIFIERS: Member = optional("DryRunModifiers", Kind::Foreign);
const RECIPIENT: Member = optional("Recipient", Kind::Foreign);
const BYPASS: Member = optional("BypassPolicyLockoutSafetyCheck", Kind::Flag);

/// A key of the caller's own account by ID or ARN, or a key of any account by any name.
const OWN_KEY: Asks = Asks::Key(OWN);
const ANY_KEY: Asks = Asks::Key(Naming {
    takes_alias: true,
    takes_foreign: true,
});
/// A key of any account, but not by an alias.
const NAMED_KEY: Asks = Asks::Key(Naming {
    takes_alias: false,
    takes_foreign: true,
});

const fn reads(
    name: &'static str,
    asks: Asks,
    members: &'static [Member],
    run: for<'a> fn(super::ReadCall<'a>) -> super::operation::Running<'a>,
) -> KmsOperation {
    KmsOperation {
        name,
        read_only: true,
        members,
        asks,
        run: Run::Read(run),
    }
}

const fn changes(
    name: &'static str,
    asks: Asks,
    members: &'static [Member],
    run: for<'a> fn(super::ChangeCall<'a>) -> super::operation::Running<'a>,
) -> KmsOperation {
    KmsOperation {
        name,
        read_only: false,
        members,
        asks,
        run: Run::Change(run),
    }
}

const fn absent(name: &'static str, read_only: bool) -> KmsOperation {
    KmsOperation {
        name,
        read_only,
        members: &[],
        asks: Asks::Nothing,
        run: Run::NotBuilt,
    }
}

/// Every operation, by name.
pub(crate) const OPERATIONS: &[KmsOperation] = &[
    changes("CancelKeyDeletion", OWN_KEY, &[KEY_ID], deletion::cancel),
    absent("ConnectCustomKeyStore", false),
    changes(
        "CreateAlias",
        Asks::NewAlias,
        &[
            required("AliasName", ALIAS_NAME),
            required("TargetKeyId", KEY_NAME),
        ],
        aliases::create,
    ),
    absent("CreateCustomKeyStore", false),
    absent("CreateGrant", false),
    changes(
        "CreateKey",
        Asks::Account,
        &[
            optional("Policy", POLICY),
            optional("Description", DESCRIPTION),
            optional("KeyUsage", KEY_USAGES),
            optional("CustomerMasterKeySpec", KEY_SPECS),
            optional("KeySpec", KEY_SPECS),
            optional("Origin", ORIGINS),
            optional("CustomKeyStoreId", Kind::Foreign),
            BYPASS,
            optional("Tags", Kind::Tags),
            optional("MultiRegion", Kind::Flag),
            optional("XksKeyId", Kind::Foreign),
        ],
        keys::create,
    ),
    absent("Decapsulate", true),
    reads(
        "Decrypt",
        Asks::Ciphertext,
        &[
            optional("CiphertextBlob", Kind::Blob(CIPHERTEXT_BYTES_MAX)),
            CONTEXT,
            GRANT_TOKENS,
            optional("KeyId", KEY_NAME),
            optional("EncryptionAlgorithm", ALGORITHMS),
            RECIPIENT,
            DRY_RUN,
            MODIFIERS,
        ],
        cryptography::decrypt_call,
    ),
    changes(
        "DeleteAlias",
        Asks::GoneAlias,
        &[required("AliasName", ALIAS_NAME)],
        aliases::delete,
    ),
    absent("DeleteCustomKeyStore", false),
    absent("DeleteImportedKeyMaterial", false),
    absent("DeriveSharedSecret", true),
    absent("DescribeCustomKeyStores", true),
    reads(
        "DescribeKey",
        ANY_KEY,
        &[KEY_ID, GRANT_TOKENS],
        keys::describe,
    ),
    changes("DisableKey", OWN_KEY, &[KEY_ID], states::disable),
    changes("DisableKeyRotation", OWN_KEY, &[KEY_ID], rotation::disable),
    absent("DisconnectCustomKeyStore", false),
    changes("EnableKey", OWN_KEY, &[KEY_ID], states::enable),
    changes(
        "EnableKeyRotation",
        OWN_KEY,
        &[
            KEY_ID,
            optional("RotationPeriodInDays", Kind::Integer(90, 2_560)),
        ],
        rotation::enable,
    ),
    absent("Encapsulate", true),
    reads(
        "Encrypt",
        ANY_KEY,
        &[
            KEY_ID,
            required("Plaintext", Kind::Blob(PLAINTEXT_BYTES_MAX)),
            CONTEXT,
            GRANT_TOKENS,
            optional("EncryptionAlgorithm", ALGORITHMS),
            DRY_RUN,
        ],
        cryptography::encrypt_call,
    ),
    reads(
        "GenerateDataKey",
        ANY_KEY,
        &[
            KEY_ID,
            CONTEXT,
            optional("NumberOfBytes", RANDOM_BYTES),
            optional("KeySpec", DATA_KEY_SPECS),
            GRANT_TOKENS,
            RECIPIENT,
            DRY_RUN,
        ],
        cryptography::generate_data_key,
    ),
    absent("GenerateDataKeyPair", true),
    absent("GenerateDataKeyPairWithoutPlaintext", true),
    reads(
        "GenerateDataKeyWithoutPlaintext",
        ANY_KEY,
        &[
            KEY_ID,
            CONTEXT,
            optional("KeySpec", DATA_KEY_SPECS),
            optional("NumberOfBytes", RANDOM_BYTES),
            GRANT_TOKENS,
            DRY_RUN,
        ],
        cryptography::generate_data_key,
    ),
    absent("GenerateMac", true),
    reads(
        "GenerateRandom",
        Asks::Account,
        &[
            optional("NumberOfBytes", RANDOM_BYTES),
            optional("CustomKeyStoreId", Kind::Foreign),
            RECIPIENT,
        ],
        cryptography::generate_random,
    ),
    absent("GetKeyLastUsage", true),
    reads(
        "GetKeyPolicy",
        OWN_KEY,
        &[KEY_ID, optional("PolicyName", POLICY_NAME)],
        key_policies::get,
    ),
    reads(
        "GetKeyRotationStatus",
        NAMED_KEY,
        &[KEY_ID],
        rotation::status,
    ),
    absent("GetParametersForImport", true),
    absent("GetPublicKey", true),
    absent("ImportKeyMaterial", false),
    reads(
        "ListAliases",
        Asks::Account,
        &[
            optional("KeyId", KEY_NAME),
            optional("Limit", LIMIT),
            optional("Marker", MARKER),
        ],
        aliases::list,
    ),
    absent("ListGrants", true),
    reads(
        "ListKeyPolicies",
        OWN_KEY,
        &[KEY_ID, optional("Limit", LIMIT), optional("Marker", MARKER)],
        key_policies::list,
    ),
    reads(
        "ListKeyRotations",
        OWN_KEY,
        &[
            KEY_ID,
            optional(
                "IncludeKeyMaterial",
                Kind::OneOf(&["ALL_KEY_MATERIAL", "ROTATIONS_ONLY"]),
            ),
            optional("Limit", LIMIT),
            optional("Marker", MARKER),
        ],
        rotation::list,
    ),
    reads(
        "ListKeys",
        Asks::Account,
        &[
            optional("Limit", LIMIT),
            optional("Marker", MARKER),
            optional("ResourceOwners", Kind::Foreign),
        ],
        keys::list,
    ),
    reads(
        "ListResourceTags",
        OWN_KEY,
        &[KEY_ID, optional("Limit", LIMIT), optional("Marker", MARKER)],
        tags::list,
    ),
    absent("ListRetirableGrants", true),
    changes(
        "PutKeyPolicy",
        OWN_KEY,
        &[
            KEY_ID,
            optional("PolicyName", POLICY_NAME),
            required("Policy", POLICY),
            BYPASS,
        ],
        key_policies::put,
    ),
    reads(
        "ReEncrypt",
        Asks::ReEncrypt,
        &[
            optional("CiphertextBlob", Kind::Blob(CIPHERTEXT_BYTES_MAX)),
            optional("SourceEncryptionContext", Kind::Context),
            optional("SourceKeyId", KEY_NAME),
            required("DestinationKeyId", KEY_NAME),
            optional("DestinationEncryptionContext", Kind::Context),
            optional("SourceEncryptionAlgorithm", ALGORITHMS),
            optional("DestinationEncryptionAlgorithm", ALGORITHMS),
            GRANT_TOKENS,
            DRY_RUN,
            MODIFIERS,
        ],
        cryptography::re_encrypt,
    ),
    absent("ReplicateKey", false),
    absent("RetireGrant", false),
    absent("RevokeGrant", false),
    changes(
        "RotateKeyOnDemand",
        OWN_KEY,
        &[KEY_ID],
        rotation::rotate_on_demand,
    ),
    changes(
        "ScheduleKeyDeletion",
        OWN_KEY,
        &[
            KEY_ID,
            optional("PendingWindowInDays", Kind::Integer(7, 30)),
        ],
        deletion::schedule,
    ),
    absent("Sign", true),
    changes(
        "TagResource",
        OWN_KEY,
        &[KEY_ID, required("Tags", Kind::Tags)],
        tags::tag,
    ),
    changes(
        "UntagResource",
        OWN_KEY,
        &[KEY_ID, required("TagKeys", Kind::TagKeys)],
        tags::untag,
    ),
    changes(
        "UpdateAlias",
        Asks::MovedAlias,
        &[
            required("AliasName", ALIAS_NAME),
            required("TargetKeyId", KEY_NAME),
        ],
        aliases::update,
    ),
    absent("UpdateCustomKeyStore", false),
    changes(
        "UpdateKeyDescription",
        OWN_KEY,
        &[KEY_ID, required("Description", DESCRIPTION)],
        keys::update_description,
    ),
    absent("UpdatePrimaryRegion", false),
    absent("Verify", true),
    absent("VerifyMac", true),
];
