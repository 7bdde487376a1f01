//! What a connector is: where its API lives and how a credential becomes a header.

use keystead_oauth::oauth1::SignatureMethod;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A connector: built in, or made by the developer.
#[derive(Clone, PartialEq, Debug)]
pub struct Provider {
    /// Key; upper case, with a `:` suffix when custom.
    pub identifier: String,
    /// Lower-case name used for default connection names and tool names.
    pub slug: String,
    /// Name for people.
    pub display_name: String,
    /// What an agent can do with it.
    pub description: String,
    /// Categories of the catalogue.
    pub categories: Vec<String>,
    /// Ways to authenticate, the first is the default.
    pub auth_patterns: Vec<AuthPattern>,
    /// Icon URL, may be empty.
    pub icon_src: String,
    /// Lower comes earlier in lists.
    pub display_priority: i32,
    /// Base URL of the API, may hold `{{…}}` templates (AK-012).
    pub proxy_url: String,
    /// Whether raw API calls may be proxied (AK-455).
    pub proxy_enabled: bool,
    /// Made by the developer of this environment.
    pub is_custom: bool,
    /// Free pairs.
    pub metadata: BTreeMap<String, String>,
}

impl Provider {
    /// Whether any pattern speaks MCP to the provider (AK-018).
    pub fn is_custom_mcp(&self) -> bool {
        self.is_custom && self.auth_patterns.iter().any(|pattern| pattern.is_mcp)
    }

    /// The pattern of a connection type; several kinds share BEARER on the wire.
    pub fn pattern(&self, kind: AuthKind) -> Option<&AuthPattern> {
        self.auth_patterns
            .iter()
            .find(|pattern| pattern.kind == kind)
    }

    /// The auth patterns as the JSON list of the contract.
    pub fn auth_patterns_json(&self) -> Value {
        serde_json::to_value(&self.auth_patterns).unwrap_or_default()
    }

    /// Headers that every request of the connector carries.
    pub fn default_headers(&self) -> BTreeMap<String, String> {
        self.metadata
            .get("default_headers")
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }
}

/// How a credential is obtained and presented.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuthKind {
    /// OAuth 2 authorization code.
    Oauth,
    /// User name and password.
    Basic,
    /// A token the user pastes.
    Bearer,
    /// A key the user pastes.
    ApiKey,
    /// OAuth 2 client credentials of the account.
    #[serde(rename = "OAUTH_M2M")]
    OauthM2m,
    /// OAuth 1.0a style token.
    #[serde(rename = "TRELLO_OAUTH1")]
    TrelloOauth1,
    /// Google domain-wide delegation.
    #[serde(rename = "GOOGLE_DWD")]
    GoogleDwd,
    /// AWS federation.
    #[serde(rename = "TRUSTED_IDP")]
    TrustedIdp,
    /// SMART on FHIR.
    SmartFhir,
    /// Nothing is sent.
    NoAuth,
    /// Google service account key.
    ServiceAccount,
    /// RSA key pair (Snowflake).
    KeyPair,
    /// A JWT signed from a template.
    #[serde(rename = "CUSTOM_JWT")]
    CustomJwt,
}

impl AuthKind {
    /// The name used in storage, the same as in the contract's JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oauth => "OAUTH",
            Self::Basic => "BASIC",
            Self::Bearer => "BEARER",
            Self::ApiKey => "API_KEY",
            Self::OauthM2m => "OAUTH_M2M",
            Self::TrelloOauth1 => "TRELLO_OAUTH1",
            Self::GoogleDwd => "GOOGLE_DWD",
            Self::TrustedIdp => "TRUSTED_IDP",
            Self::SmartFhir => "SMART_FHIR",
            Self::NoAuth => "NO_AUTH",
            Self::ServiceAccount => "SERVICE_ACCOUNT",
            Self::KeyPair => "KEY_PAIR",
            Self::CustomJwt => "CUSTOM_JWT",
        }
    }

    /// What accounts and their events call it (`authorization_type` of the contract, AK-621).
    pub const fn credential_type(self) -> &'static str {
        match self {
            Self::Bearer => "BEARER_TOKEN",
            Self::ServiceAccount | Self::KeyPair | Self::CustomJwt => "CUSTOM",
            other => other.as_str(),
        }
    }

    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_value(Value::String(text.to_owned())).ok()
    }

    /// The user is sent to the provider to consent.
    pub const fn is_redirect(self) -> bool {
        matches!(self, Self::Oauth | Self::TrelloOauth1 | Self::SmartFhir)
    }

    /// The access token is made from a stored long-term credential and expires. See also
    /// [`AuthPattern::is_minted`].
    pub const fn is_minted(self) -> bool {
        matches!(
            self,
            Self::OauthM2m
                | Self::GoogleDwd
                | Self::ServiceAccount
                | Self::KeyPair
                | Self::CustomJwt
                | Self::TrustedIdp
        )
    }
}

/// One way to authenticate with a provider (AK-007). Unknown keys are kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AuthPattern {
    /// Kind.
    #[serde(rename = "type")]
    pub kind: AuthKind,
    /// Name for people.
    #[serde(default)]
    pub display_name: String,
    /// What the user is asked for.
    #[serde(default)]
    pub description: String,
    /// What the user types in.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// What is asked before the consent at the provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub account_fields: Vec<Field>,
    /// OAuth settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth_config: Option<OauthSettings>,
    /// The token that a `CUSTOM_JWT` pattern signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtSettings>,
    /// What a `TRUSTED_IDP` pattern needs of AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsSettings>,
    /// Header that carries the credential instead of `Authorization` (AK-010).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_header_key_override: Option<String>,
    /// Changes of stored values before they are sent (AK-011).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub auth_field_mutations: BTreeMap<String, Mutation>,
    /// The provider speaks MCP.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_mcp: bool,
    /// Hosts that requests may go to; `*.` matches any subdomain (AK-008b, AK-025).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_proxy_domains: Vec<String>,
    /// Query parameter that carries an API key instead of a header; a setting of the connection
    /// (AK-111).
    #[serde(skip)]
    pub key_query_parameter: Option<String>,
    /// Keys this version does not know.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// A JWT that is signed from what the user filled in (AK-228).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtSettings {
    /// `RS256`, `ES256` or `HS256`.
    pub algorithm: String,
    /// Field that holds the signing key: PEM, or the shared secret of `HS256`.
    pub key_field: String,
    /// Field that holds the `kid` of the header, when the provider wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id_field: Option<String>,
    /// Claims; texts may hold `{{field}}`. `iat` and `exp` are always ours.
    pub claims: Map<String, Value>,
    /// Seconds that a token lives; at most an hour.
    pub lifetime: u64,
}

/// Where temporary AWS credentials come from and what they sign for (AK-229).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsSettings {
    /// Endpoint of the Security Token Service; may hold `{{region}}`.
    pub sts_uri: String,
    /// Service in the signature, such as `redshift-data`.
    pub service: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}

/// One input of a credential form (AK-008).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Field {
    /// Key in `static_auth.details` or `api_config`.
    pub field_name: String,
    /// Label for people.
    #[serde(default)]
    pub label: String,
    /// Kind of input.
    #[serde(default)]
    pub input_type: InputType,
    /// Help below the input.
    #[serde(default)]
    pub hint: String,
    /// Must be filled.
    #[serde(default)]
    pub required: bool,
    /// Fills a template of the base URL.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_path_param: bool,
    /// Choices of a select.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<FieldOption>,
    /// Header that carries this very value (AK-008a).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_name: Option<String>,
    /// Keys this version does not know.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Kind of a form input; unknown kinds pass through and are shown as text.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum InputType {
    /// One line.
    #[default]
    Text,
    /// One hidden line.
    Password,
    /// A choice.
    Select,
    /// Several lines.
    Textarea,
    /// Something newer than this version.
    Other(String),
}

impl From<String> for InputType {
    fn from(text: String) -> Self {
        match text.as_str() {
            "" | "text" => Self::Text,
            "password" => Self::Password,
            "select" => Self::Select,
            "textarea" => Self::Textarea,
            _ => Self::Other(text),
        }
    }
}

impl From<InputType> for String {
    fn from(kind: InputType) -> Self {
        match kind {
            InputType::Text => "text".to_owned(),
            InputType::Password => "password".to_owned(),
            InputType::Select => "select".to_owned(),
            InputType::Textarea => "textarea".to_owned(),
            InputType::Other(text) => text,
        }
    }
}

/// One choice of a select.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FieldOption {
    /// Value stored.
    pub value: String,
    /// Text shown.
    #[serde(default)]
    pub display_name: String,
    /// Longer text.
    #[serde(default)]
    pub description: String,
    /// Chosen when nothing is.
    #[serde(default)]
    pub default: bool,
    /// Keys this version does not know.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Change of a stored value before it is sent: `default`, then `prefix`, then `suffix` (AK-011).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Mutation {
    /// Used when the stored value is empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub default: String,
    /// Put in front.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Put behind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub suffix: String,
    /// Keys this version does not know.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// OAuth settings of a pattern (AK-009); the connection may override most of them.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct OauthSettings {
    /// Authorization endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorize_uri: Option<String>,
    /// Token endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_uri: Option<String>,
    /// Token endpoint for refreshes where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_uri: Option<String>,
    /// How the provider names itself in its answers (RFC 9207); compared when it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Who am I.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_info_uri: Option<String>,
    /// Revocation endpoint (RFC 7009).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_uri: Option<String>,
    /// What a revocation ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_scope: Option<RevocationScope>,
    /// Scopes the provider offers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub available_scopes: Vec<Scope>,
    /// PKCE S256 is sent; only off for providers known to reject it.
    #[serde(default = "yes")]
    pub pkce_enabled: bool,
    /// Query parameter that carries the scopes instead of `scope`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_scope_name: Option<String>,
    /// How the client authenticates at the token endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_method: Option<String>,
    /// Between scopes; a space when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_separator: Option<String>,
    /// Further query parameters of the authorization request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_authorize_params: BTreeMap<String, String>,
    /// Where the token response hides its values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_paths: Option<TokenPaths>,
    /// Lifetime in seconds when the provider omits it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_expires_in: Option<u64>,
    /// Account values read after the consent (AK-013).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_auth: Option<PostAuthHook>,
    /// What OAuth 1.0a needs besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth1: Option<Oauth1Settings>,
    /// Keys this version does not know.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl AuthPattern {
    /// The access token is made from a stored long-term credential and ends.
    pub(crate) fn is_minted(&self) -> bool {
        self.kind.is_minted() || self.signs_in()
    }

    /// The credential that was typed in is exchanged for a session, which calls carry.
    pub(crate) fn signs_in(&self) -> bool {
        let hook = self.oauth_config.as_ref().and_then(|oauth| oauth.post_auth);
        self.kind == AuthKind::ApiKey && hook == Some(PostAuthHook::TableauSite)
    }
}

/// What a revocation ends at the provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationScope {
    /// The one grant, as RFC 7009 has it.
    Grant,
    /// All that the user ever granted to the application. Assumed when nothing is said.
    User,
}

/// Settings of OAuth 1.0a (RFC 5849) that OAuth 2.0 has no word for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Oauth1Settings {
    /// Where a flow begins.
    pub request_token_uri: String,
    /// How requests are signed.
    #[serde(default)]
    pub signature_method: SignatureMethod,
    /// Calls are signed too; else key and token are sent without a signature, as Trello takes them.
    #[serde(default = "yes")]
    pub sign_calls: bool,
}

const fn yes() -> bool {
    true
}

/// A scope the provider offers.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Scope {
    /// Text on the wire.
    pub scope: String,
    /// Name for people.
    #[serde(default)]
    pub display_name: String,
    /// What it allows.
    #[serde(default)]
    pub description: String,
    /// Always requested.
    #[serde(default)]
    pub required: bool,
    /// Keys this version does not know.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Dotted paths into a token response that is not RFC 6749's.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenPaths {
    /// Path of the access token.
    pub access_token: Option<String>,
    /// Path of the refresh token.
    pub refresh_token: Option<String>,
    /// Path of the lifetime in seconds.
    pub expires_in: Option<String>,
    /// Path of the granted scopes.
    pub scope: Option<String>,
}

/// What is read from the provider right after the consent (AK-013).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostAuthHook {
    /// Cloud id of the Atlassian site that the user chooses.
    AtlassianCloudId,
    /// Host of the customer's Gong API, from the token response.
    GongApiHost,
    /// Data centre of the Mailchimp account.
    MailchimpDataCenter,
    /// Host of the Pipedrive company, from the token response.
    PipedriveApiDomain,
    /// Company id, from the QuickBooks callback.
    QuickbooksRealm,
    /// Instance URL, from the Salesforce token response, and the API version there.
    SalesforceInstance,
    /// Site id after Tableau's own sign-in.
    TableauSite,
    /// Tenant of the Xero grant that the user chooses.
    XeroTenant,
}
