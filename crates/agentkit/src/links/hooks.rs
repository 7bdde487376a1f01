//! What later calls need and only the provider knows, read right after the consent (AK-013).

use super::{callback::CallbackError, place::OpenQuestion};
use crate::{
    AgentKit,
    accounts::Grounds,
    providers::PostAuthHook,
    proxy::resolve_target,
    template::{self, host_allowed},
};
use keystead_oauth::TokenResponse;
use keystead_types::{Internal, Secret};
use serde_json::{Map, Value};
use url::Url;

type Result<T> = std::result::Result<T, CallbackError>;

/// What a hook found out.
#[derive(Default)]
pub(super) struct Found {
    /// Values of the account.
    pub(super) values: Map<String, Value>,
    /// The grant has several places and nobody said yet which one is meant.
    pub(super) question: Option<OpenQuestion>,
}

impl Found {
    fn put(&mut self, name: &str, value: String) {
        self.values.insert(name.to_owned(), Value::String(value));
    }

    /// The values, with any of the places that are asked about: whose grant it is does not depend on
    /// the place.
    pub(super) fn any_place(&self) -> Map<String, Value> {
        let mut values = self.values.clone();
        if let Some(question) = &self.question
            && let Some(place) = question.places.first()
        {
            let value = Value::String(place.value.clone());
            values.insert(question.name.clone(), value);
        }
        values
    }
}

impl AgentKit {
    /// Reads what later calls need and only the provider knows (AK-013).
    pub(super) async fn account_values(
        &self,
        hook: PostAuthHook,
        grounds: &Grounds,
        tokens: &TokenResponse,
        parameters: &str,
    ) -> Result<Found> {
        let mut found = Found::default();
        match hook {
            PostAuthHook::SalesforceInstance => {
                found.put("domain", host_of(grounds, tokens)?);
                let version = self.salesforce_version(grounds, &found.values).await?;
                found.put("version", version);
            }
            PostAuthHook::PipedriveApiDomain | PostAuthHook::GongApiHost => {
                found.put("domain", host_of(grounds, tokens)?);
            }
            PostAuthHook::QuickbooksRealm => {
                let realm = url::form_urlencoded::parse(parameters.as_bytes())
                    .find(|(name, _)| name == "realmId")
                    .map(|(_, value)| value.into_owned());
                found.put("realm_id", realm.ok_or_else(|| missing("the company"))?);
            }
            PostAuthHook::AtlassianCloudId => {
                let path = "/oauth/token/accessible-resources";
                let url = at_host_of(&grounds.provider.proxy_url, path)?;
                let sites = self
                    .read_json(grounds, &url, Some(("Bearer", tokens)))
                    .await?;
                let question = OpenQuestion::of_atlassian(&sites, &grounds.provider.proxy_url);
                settle(&mut found, grounds, question, "a site")?;
            }
            PostAuthHook::XeroTenant => {
                let url = at_host_of(&grounds.provider.proxy_url, "/connections")?;
                let tenants = self
                    .read_json(grounds, &url, Some(("Bearer", tokens)))
                    .await?;
                let question = OpenQuestion::of_xero(&tenants);
                settle(&mut found, grounds, question, "a tenant")?;
            }
            PostAuthHook::MailchimpDataCenter => {
                let token_uri = grounds.connection.token_uri(Some(&grounds.pattern));
                let url = at_host_of(token_uri.unwrap_or_default(), "/oauth2/metadata")?;
                let metadata = self
                    .read_json(grounds, &url, Some(("OAuth", tokens)))
                    .await?;
                let centre = metadata.get("dc").and_then(Value::as_str);
                let centre = centre.ok_or_else(|| missing("the data centre"))?;
                found.put("dc", centre.to_owned());
            }
            // Signs in with a credential of its own, again and again: see `vault::tableau`.
            PostAuthHook::TableauSite => {}
        }
        Ok(found)
    }

    /// The API version for an org: the one that is set, if the org has it, or its newest.
    async fn salesforce_version(
        &self,
        grounds: &Grounds,
        found: &Map<String, Value>,
    ) -> Result<String> {
        let mut config = grounds.account.api_config.clone();
        config.extend(found.clone());
        let values = grounds.template_values_with(&config);
        let allowed = &grounds.pattern.allowed_proxy_domains;
        let url = resolve_target(&grounds.base_url(), &values, allowed, "/services/data/")
            .map_err(|error| CallbackError::PostAuth(error.to_string()))?;
        // The list of versions is public, so the token stays here.
        let listed = self.read_json(grounds, url.as_str(), None).await?;
        let listed = listed.as_array().map(Vec::as_slice).unwrap_or_default();
        let versions: Vec<&str> = listed
            .iter()
            .filter_map(|entry| entry.get("version")?.as_str())
            .collect();
        let set = values.get("version").map(|set| set.trim_start_matches('v'));
        let newest = || {
            let known = versions
                .iter()
                .filter_map(|text| Some((numbers(text)?, *text)));
            known.max().map(|(_, text)| text)
        };
        let version = set
            .filter(|set| versions.contains(set))
            .or_else(newest)
            .ok_or_else(|| missing("an API version"))?;
        Ok(format!("v{version}"))
    }

    async fn read_json(
        &self,
        grounds: &Grounds,
        url: &str,
        token: Option<(&str, &TokenResponse)>,
    ) -> Result<Value> {
        let mut request = http::Request::get(url).header(http::header::ACCEPT, "application/json");
        if let Some((scheme, tokens)) = token {
            let value = Secret::new(format!("{scheme} {}", tokens.access_token.expose()));
            request = request.header(http::header::AUTHORIZATION, value.expose());
        }
        let request = request.body(bytes::Bytes::new()).map_err(Internal::new)?;
        let failed = |text: String| CallbackError::PostAuth(text);
        let response = self
            .http_of(&grounds.provider.identifier)
            .fetch(request)
            .await
            .map_err(|error| failed(error.to_string()))?;
        if !response.status().is_success() {
            return Err(failed(format!(
                "the provider answered HTTP {}",
                response.status().as_u16()
            )));
        }
        serde_json::from_slice(response.body())
            .map_err(|_| failed("the provider did not answer with JSON".to_owned()))
    }
}

/// Takes the place that is set already or the only one there is; else the user is asked.
fn settle(found: &mut Found, grounds: &Grounds, question: OpenQuestion, what: &str) -> Result<()> {
    // A place of a former grant is no answer for this one.
    let set = grounds.template_values().get(&question.name);
    let chosen = set.filter(|value| question.offers(value));
    match (chosen, question.places.as_slice()) {
        (_, []) => return Err(missing(what)),
        (Some(value), _) => found.put(&question.name, value.clone()),
        (None, [only]) => found.put(&question.name, only.value.clone()),
        (None, _) => found.question = Some(question),
    }
    Ok(())
}

/// The host of the account's API, which the token answer names.
///
/// SECURITY: the user's calls go there, so it must be one of the provider's.
fn host_of(grounds: &Grounds, tokens: &TokenResponse) -> Result<String> {
    let named = tokens.other.values().find_map(|url| {
        let url = Url::parse(url).ok()?;
        url.host_str().map(ToOwned::to_owned)
    });
    let host = named.ok_or_else(|| missing("the account's host"))?;
    let allowed = &grounds.pattern.allowed_proxy_domains;
    if !allowed.is_empty() && !host_allowed(&host, allowed) {
        let error = template::TemplateError::HostNotAllowed(host);
        return Err(CallbackError::PostAuth(error.to_string()));
    }
    Ok(host)
}

/// `66.0` as numbers, so that versions compare.
fn numbers(version: &str) -> Option<Vec<u32>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

fn missing(what: &str) -> CallbackError {
    CallbackError::PostAuth(format!("the provider did not name {what}"))
}

/// A path at the host of one of the connector's own endpoints.
fn at_host_of(endpoint: &str, path: &str) -> Result<String> {
    let unusable = || CallbackError::PostAuth("the connector names no host to ask".to_owned());
    let mut url = Url::parse(endpoint).map_err(|_| unusable())?;
    // SECURITY: the token goes there, so the host must be written in the connector, not filled in.
    if url.host_str().is_none_or(|host| host.contains(['{', '%'])) {
        return Err(unusable());
    }
    url.set_path(path);
    url.set_query(None);
    url.set_fragment(None);
    Ok(url.into())
}
