//! The file format of a connector pack (`connectors/<slug>/connector.yaml`).

use crate::providers::{
    AuthKind, AuthPattern, AwsSettings, Field, FieldOption, InputType, JwtSettings, Mutation,
    Oauth1Settings, OauthSettings, PostAuthHook, Provider, RevocationScope, Scope, TokenPaths,
};
use keystead_oauth::oauth1::SignatureMethod;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A connector pack as written; unknown keys are refused so that a typing error is noticed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pack {
    key: String,
    slug: String,
    name: String,
    description: String,
    categories: Vec<String>,
    display_priority: i32,
    base_url: String,
    #[serde(default)]
    allowed_domains: Vec<String>,
    mcp: bool,
    documentation: String,
    auth: Vec<PackAuth>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PackAuth {
    #[serde(rename = "type")]
    kind: AuthKind,
    name: String,
    description: String,
    #[serde(default)]
    fields: Vec<PackField>,
    #[serde(default)]
    account_fields: Vec<PackField>,
    header: Option<String>,
    #[serde(default)]
    mutations: BTreeMap<String, Mutation>,
    oauth: Option<PackOauth>,
    jwt: Option<JwtSettings>,
    aws: Option<AwsSettings>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PackField {
    name: String,
    label: String,
    input: InputType,
    #[serde(default)]
    hint: String,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    path_param: bool,
    #[serde(default)]
    options: Vec<PackOption>,
    header: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PackOption {
    value: String,
    label: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    default: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PackOauth {
    authorize_url: Option<String>,
    token_url: Option<String>,
    issuer: Option<String>,
    userinfo_url: Option<String>,
    revocation_url: Option<String>,
    revocation_scope: Option<RevocationScope>,
    pkce: bool,
    token_auth: String,
    scope_separator: Option<String>,
    scope_parameter: Option<String>,
    #[serde(default)]
    extra_params: BTreeMap<String, String>,
    token_paths: Option<TokenPaths>,
    default_expires_in: Option<u64>,
    post_auth: Option<PostAuthHook>,
    oauth1: Option<PackOauth1>,
    #[serde(default)]
    scopes: Vec<PackScope>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PackOauth1 {
    request_token_url: String,
    #[serde(default)]
    signature_method: SignatureMethod,
    sign_calls: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PackScope {
    scope: String,
    name: String,
    description: String,
    required: bool,
}

impl Pack {
    /// Turns the pack into the provider it describes.
    pub(crate) fn into_provider(self) -> Provider {
        let mut metadata = self.metadata;
        metadata.insert("documentation".to_owned(), self.documentation);
        let refresh_uri = metadata.remove("refresh_url");
        let mut auth_patterns: Vec<AuthPattern> = self
            .auth
            .into_iter()
            .map(|auth| auth.into_pattern(self.mcp, &self.allowed_domains))
            .collect();
        for oauth in auth_patterns
            .iter_mut()
            .filter_map(|auth| auth.oauth_config.as_mut())
        {
            oauth.refresh_uri.clone_from(&refresh_uri);
        }
        Provider {
            identifier: self.key,
            slug: self.slug,
            display_name: self.name,
            description: self.description,
            categories: self.categories,
            auth_patterns,
            icon_src: String::new(),
            display_priority: self.display_priority,
            proxy_url: self.base_url,
            proxy_enabled: true,
            is_custom: false,
            metadata,
        }
    }
}

impl PackAuth {
    fn into_pattern(self, is_mcp: bool, allowed_domains: &[String]) -> AuthPattern {
        AuthPattern {
            kind: self.kind,
            display_name: self.name,
            description: self.description,
            fields: self.fields.into_iter().map(Into::into).collect(),
            account_fields: self.account_fields.into_iter().map(Into::into).collect(),
            oauth_config: self.oauth.map(Into::into),
            jwt: self.jwt,
            aws: self.aws,
            auth_header_key_override: self.header,
            auth_field_mutations: self.mutations,
            is_mcp,
            allowed_proxy_domains: allowed_domains.to_vec(),
            key_query_parameter: None,
            unknown: serde_json::Map::new(),
        }
    }
}

impl From<PackField> for Field {
    fn from(field: PackField) -> Self {
        Self {
            field_name: field.name,
            label: field.label,
            input_type: field.input,
            hint: field.hint,
            required: field.required,
            is_path_param: field.path_param,
            options: field.options.into_iter().map(Into::into).collect(),
            header_name: field.header,
            unknown: serde_json::Map::new(),
        }
    }
}

impl From<PackOption> for FieldOption {
    fn from(option: PackOption) -> Self {
        Self {
            value: option.value,
            display_name: option.label,
            description: option.description,
            default: option.default,
            unknown: serde_json::Map::new(),
        }
    }
}

impl From<PackOauth> for OauthSettings {
    fn from(oauth: PackOauth) -> Self {
        Self {
            authorize_uri: oauth.authorize_url,
            token_uri: oauth.token_url,
            refresh_uri: None,
            issuer: oauth.issuer,
            user_info_uri: oauth.userinfo_url,
            revocation_uri: oauth.revocation_url,
            revocation_scope: oauth.revocation_scope,
            available_scopes: oauth
                .scopes
                .into_iter()
                .map(|scope| Scope {
                    scope: scope.scope,
                    display_name: scope.name,
                    description: scope.description,
                    required: scope.required,
                    unknown: serde_json::Map::new(),
                })
                .collect(),
            pkce_enabled: oauth.pkce,
            custom_scope_name: oauth.scope_parameter,
            token_endpoint_auth_method: Some(oauth.token_auth),
            scope_separator: oauth.scope_separator,
            extra_authorize_params: oauth.extra_params,
            token_paths: oauth.token_paths,
            default_expires_in: oauth.default_expires_in,
            post_auth: oauth.post_auth,
            oauth1: oauth.oauth1.map(|oauth1| Oauth1Settings {
                request_token_uri: oauth1.request_token_url,
                signature_method: oauth1.signature_method,
                sign_calls: oauth1.sign_calls,
            }),
            unknown: serde_json::Map::new(),
        }
    }
}
