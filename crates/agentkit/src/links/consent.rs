//! Sending the browser to the provider (AK-304, AK-308).

use super::{FLOW_LIFETIME, OpenLink, oauth1::Endpoints, purpose};
use crate::{
    AgentKit, Error,
    accounts::{Grounds, ScopeSelection, check_api_config, checked_selection, merged_config},
    error::Result,
    providers::AuthKind,
    template::{self, TemplateError, Values},
    vault::{GrantClient, Sealed},
};
use keystead_crypto::random_token;
use keystead_oauth::{AuthorizeRequest, CodeVerifier, Scopes};
use keystead_store::entities::auth_links::{self, FlowRow};
use keystead_types::{AuthRequestId, EnvironmentId, Secret};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use url::Url;

/// A consent begun at a provider. Its `Debug` shows the host alone: the address holds the state.
pub struct Consent {
    /// The provider's authorization page.
    pub url: Url,
    /// Value of the cookie that binds the flow to this browser.
    pub browser: Secret<String>,
    /// Names that cookie among those of other flows in the same browser: the first eight
    /// characters of the flow's state.
    pub flow: String,
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        write!(f, "Consent({host})")
    }
}

/// Characters of a state that name its flow. The callback carries the state, so it finds its cookie.
///
/// SECURITY: 35 more characters (210 bits) stay unknown to whoever sees the name, and it proves nothing:
/// the cookie's value does.
const FLOW_NAME: usize = 8;

/// What a flow must remember until the callback; sealed.
#[derive(Serialize, Deserialize)]
pub(crate) struct FlowSecrets {
    /// PKCE verifier, absent when the provider rejects PKCE.
    pub(crate) verifier: Option<String>,
    /// The client that asks: a change of the connection meanwhile does not matter.
    pub(crate) client: GrantClient,
    /// Exactly as sent.
    pub(crate) redirect_uri: String,
    /// What OAuth 1.0a begins with.
    #[serde(default)]
    pub(crate) temporary: Option<TemporaryCredentials>,
    /// What the user filled in before.
    #[serde(default)]
    pub(crate) chosen: Chosen,
}

/// What the user filled in before the consent.
///
/// SECURITY: kept with the flow until the grant is live: written earlier, it would lead the calls
/// of an account that is connected already to a place that whoever has a link chose.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Chosen {
    /// Account fields, merged into the account's settings.
    #[serde(default)]
    pub(crate) api_config: Map<String, Value>,
    /// Scopes.
    #[serde(default)]
    pub(crate) scope_selection: Option<ScopeSelection>,
}

/// Temporary credentials of OAuth 1.0a.
#[derive(Serialize, Deserialize)]
pub(crate) struct TemporaryCredentials {
    pub(crate) token: String,
    pub(crate) secret: String,
}

impl Grounds {
    /// As they will be once the consent with these choices is given.
    pub(crate) fn with_choices(&self, chosen: &Chosen) -> Self {
        let mut grounds = self.clone();
        let account = &mut grounds.account;
        account.api_config = merged_config(&account.api_config, chosen.api_config.clone());
        if chosen.scope_selection.is_some() {
            account.scope_selection.clone_from(&chosen.scope_selection);
        }
        grounds
    }

    /// Whether the user must fill something in before the consent (AK-304).
    pub fn asks_before_consent(&self) -> bool {
        let values = self.template_values();
        let missing = self
            .pattern
            .account_fields
            .iter()
            .any(|field| field.required && !values.contains_key(&field.field_name));
        missing || self.consents_only() || self.connection.settings.scope_selection_allowed
    }

    /// Fills a templated endpoint; a templated host must be one of the provider's (AK-471).
    pub(crate) fn endpoint(&self, template: &str) -> std::result::Result<String, TemplateError> {
        self.endpoint_with(template, self.template_values())
    }

    pub(super) fn endpoint_with(
        &self,
        template: &str,
        values: &Values,
    ) -> std::result::Result<String, TemplateError> {
        if !template.contains("{{") {
            return Ok(template.to_owned());
        }
        let filled = template::fill_url(template, values)?;
        let url = Url::parse(&filled).map_err(|_| TemplateError::NotAUrl)?;
        let host = url.host_str().unwrap_or_default();
        if !template::host_allowed(host, &self.pattern.allowed_proxy_domains) {
            return Err(TemplateError::HostNotAllowed(host.to_owned()));
        }
        Ok(filled)
    }

    /// Whether `values` fill the endpoints of the consent.
    pub(crate) fn check_endpoints(
        &self,
        values: &Values,
    ) -> std::result::Result<(), TemplateError> {
        let pattern = Some(&self.pattern);
        let endpoints = [
            self.connection.authorize_uri(pattern),
            self.connection.token_uri(pattern),
        ];
        for endpoint in endpoints.into_iter().flatten() {
            self.endpoint_with(endpoint, values)?;
        }
        Ok(())
    }
}

impl AgentKit {
    /// Starts a trip to the provider: a new flow row, and the URL to send the browser to.
    ///
    /// # Errors
    /// [`Error::Template`], [`Error::ConnectionIncomplete`], [`Error::ConsentNotStarted`].
    pub async fn begin_consent(&self, env: EnvironmentId, link: &OpenLink) -> Result<Consent> {
        self.begin_consent_with(env, link, Chosen::default()).await
    }

    /// As [`Self::begin_consent`], with what the user filled in before.
    pub(super) async fn begin_consent_with(
        &self,
        env: EnvironmentId,
        link: &OpenLink,
        mut chosen: Chosen,
    ) -> Result<Consent> {
        if let Some(selection) = chosen.scope_selection.take() {
            chosen.scope_selection = Some(checked_selection(&link.grounds, selection)?);
        }
        let grounds = &link.grounds.with_choices(&chosen);
        check_api_config(&grounds.account.api_config)?;
        // SECURITY: a grant of one user must not become the credential of an account that has none.
        if grounds.consents_only() {
            return Err(Error::SharedCredential("agree to its use"));
        }
        match grounds.connection.kind {
            AuthKind::Oauth | AuthKind::SmartFhir | AuthKind::TrelloOauth1 => {}
            other => {
                return Err(Error::AuthTypeMismatch {
                    expected: other.as_str(),
                });
            }
        }
        let incomplete = |missing| Error::ConnectionIncomplete {
            name: grounds.connection.key_id.clone(),
            missing,
        };
        let pattern = Some(&grounds.pattern);
        let authorize = grounds
            .connection
            .authorize_uri(pattern)
            .ok_or_else(|| incomplete("authorize_uri"))?;
        let token = grounds
            .connection
            .token_uri(pattern)
            .ok_or_else(|| incomplete("token_uri"))?;
        let authorize = grounds.endpoint(&grounds.connection.in_tenant(authorize))?;
        let token = grounds.endpoint(&grounds.connection.in_tenant(token))?;
        let client = grounds.connection.grant_client(token, pattern);

        let ctx = self.ctx();
        let state = random_token(&*ctx.rng, "", 32);
        let browser = random_token(&*ctx.rng, "", 32);
        let redirect_uri = self.redirect_uri(env, grounds.connection.id).await?;
        let scopes = grounds.wanted_scopes();
        let (url, mut secrets) = if grounds.connection.kind == AuthKind::TrelloOauth1 {
            let endpoints = Endpoints {
                authorize: &authorize,
                client,
                redirect_uri,
            };
            self.begin_oauth1(grounds, endpoints, &state, &scopes)
                .await?
        } else {
            let verifier = grounds
                .connection
                .pkce(pattern)
                .then(|| CodeVerifier::generate(&*ctx.rng));
            let url = authorize_url(
                grounds,
                &authorize,
                &client,
                &redirect_uri,
                state.expose(),
                verifier.as_ref(),
                &scopes,
            )?;
            let secrets = FlowSecrets {
                verifier: verifier.map(|verifier| verifier.secret().expose().clone()),
                client,
                redirect_uri,
                temporary: None,
                chosen: Chosen::default(),
            };
            (url, secrets)
        };

        secrets.chosen = chosen;
        let id: AuthRequestId = ctx.ids.next(&*ctx.clock);
        let sealed = self
            .seal(env, Sealed::Flow(&id.to_string()), &secrets)
            .await?;
        let hasher = &ctx.keys.hasher;
        let row = FlowRow {
            id,
            link_id: link.row.id,
            connection_id: grounds.connection.id,
            browser_hash: hasher
                .hash(purpose::BROWSER, browser.expose())
                .as_bytes()
                .to_vec(),
            sealed,
            scopes: serde_json::json!(scopes),
        };
        let now = ctx.clock.now();
        let state_hash = hasher.hash(purpose::STATE, state.expose());
        let mut tx = ctx.db.begin(env).await?;
        auth_links::insert_flow(
            &mut tx,
            state_hash.as_bytes(),
            &row,
            now,
            now.plus(FLOW_LIFETIME),
        )
        .await?;
        tx.commit().await?;
        let flow = state.expose().chars().take(FLOW_NAME).collect();
        Ok(Consent { url, browser, flow })
    }
}

fn authorize_url(
    grounds: &Grounds,
    endpoint: &str,
    client: &GrantClient,
    redirect_uri: &str,
    state: &str,
    verifier: Option<&CodeVerifier>,
    scopes: &[String],
) -> Result<Url> {
    let settings = &grounds.connection.settings;
    let oauth = grounds.pattern.oauth_config.as_ref();
    let separator = oauth
        .and_then(|oauth| oauth.scope_separator.as_deref())
        .unwrap_or(" ");
    let parameter = settings
        .custom_scope_name
        .as_deref()
        .filter(|name| !name.is_empty())
        .or_else(|| oauth.and_then(|oauth| oauth.custom_scope_name.as_deref()))
        .unwrap_or("scope");
    let mut extra: Vec<(String, String)> = Vec::new();
    let mut put = |name: &str, value: &str| {
        extra.retain(|(known, _)| known != name);
        extra.push((name.to_owned(), value.to_owned()));
    };
    for (name, value) in oauth
        .map(|oauth| &oauth.extra_authorize_params)
        .into_iter()
        .flatten()
    {
        put(name, value);
    }
    for (name, value) in &settings.extra_authorize_params {
        put(name, value);
    }
    for (name, value) in [
        ("prompt", &settings.prompt),
        ("access_type", &settings.access_type),
        ("token_access_type", &settings.token_access_type),
    ] {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            put(name, value);
        }
    }
    if let Some(smart) = &settings.smart
        && !smart.aud.is_empty()
    {
        put("aud", &smart.aud);
    }
    if grounds.pattern.is_mcp {
        put("resource", &grounds.base_url());
    }
    let optional: Option<Vec<String>> = settings.optional_scopes.as_ref().map(|optional| {
        let chosen = grounds.account.scope_selection.as_ref();
        optional
            .scopes
            .iter()
            .filter(|scope| chosen.is_none_or(|chosen| chosen.optional_scopes.contains(scope)))
            .cloned()
            .collect()
    });
    let optional_parameter = settings
        .optional_scopes
        .as_ref()
        .map(|optional| optional.field_name.as_str())
        .filter(|name| !name.is_empty())
        .unwrap_or("optional_scope");
    let challenge = verifier.map(CodeVerifier::challenge);
    let request = AuthorizeRequest {
        endpoint,
        client_id: &client.client_id,
        redirect_uri,
        state,
        scopes: Scopes {
            parameter,
            values: scopes,
            separator,
        },
        optional_scopes: optional.as_deref().map(|values| Scopes {
            parameter: optional_parameter,
            values,
            separator,
        }),
        challenge: challenge.as_deref(),
        extra: &extra,
    };
    request
        .url()
        .map_err(|error| Error::field("oauth_config", &error.to_string()))
}
