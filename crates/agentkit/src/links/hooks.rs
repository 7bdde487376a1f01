//! What later calls need and only the provider knows, read right after the consent (AK-013).

use super::callback::CallbackError;
use crate::{AgentKit, accounts::Grounds, providers::PostAuthHook};
use keystead_oauth::TokenResponse;
use keystead_types::Internal;
use serde_json::{Map, Value};
use url::Url;

type Result<T> = std::result::Result<T, CallbackError>;

impl AgentKit {
    /// Reads what later calls need and only the provider knows (AK-013).
    pub(super) async fn account_values(
        &self,
        hook: PostAuthHook,
        grounds: &Grounds,
        tokens: &TokenResponse,
        parameters: &str,
    ) -> Result<Map<String, Value>> {
        let mut values = Map::new();
        let mut put =
            |name: &str, value: String| values.insert(name.to_owned(), Value::String(value));
        let host = |url: &str| {
            Url::parse(url)
                .ok()
                .and_then(|url| url.host_str().map(ToOwned::to_owned))
        };
        let missing =
            |what: &str| CallbackError::PostAuth(format!("the provider did not name {what}"));
        match hook {
            PostAuthHook::SalesforceInstance
            | PostAuthHook::PipedriveApiDomain
            | PostAuthHook::GongApiHost => {
                let named = tokens.other.values().find_map(|url| host(url));
                put(
                    "domain",
                    named.ok_or_else(|| missing("the account's host"))?,
                );
            }
            PostAuthHook::QuickbooksRealm => {
                let realm = url::form_urlencoded::parse(parameters.as_bytes())
                    .find(|(name, _)| name == "realmId")
                    .map(|(_, value)| value.into_owned());
                put("realm_id", realm.ok_or_else(|| missing("the company"))?);
            }
            PostAuthHook::AtlassianCloudId => {
                let url = at_host_of(
                    &grounds.provider.proxy_url,
                    "/oauth/token/accessible-resources",
                )?;
                let sites = self.read_json(&url, "Bearer", tokens).await?;
                let id = sites.pointer("/0/id").and_then(Value::as_str);
                put("cloud_id", id.ok_or_else(|| missing("a site"))?.to_owned());
            }
            PostAuthHook::XeroTenant => {
                let url = at_host_of(&grounds.provider.proxy_url, "/connections")?;
                let tenants = self.read_json(&url, "Bearer", tokens).await?;
                let id = tenants.pointer("/0/tenantId").and_then(Value::as_str);
                put(
                    "tenant_id",
                    id.ok_or_else(|| missing("a tenant"))?.to_owned(),
                );
            }
            PostAuthHook::MailchimpDataCenter => {
                let token_uri = grounds.connection.token_uri(Some(&grounds.pattern));
                let url = at_host_of(token_uri.unwrap_or_default(), "/oauth2/metadata")?;
                let metadata = self.read_json(&url, "OAuth", tokens).await?;
                let centre = metadata.get("dc").and_then(Value::as_str);
                put(
                    "dc",
                    centre.ok_or_else(|| missing("the data centre"))?.to_owned(),
                );
            }
            PostAuthHook::TableauSite => {}
        }
        Ok(values)
    }

    async fn read_json(&self, url: &str, scheme: &str, tokens: &TokenResponse) -> Result<Value> {
        let request = http::Request::get(url)
            .header(http::header::ACCEPT, "application/json")
            .header(
                http::header::AUTHORIZATION,
                format!("{scheme} {}", tokens.access_token.expose()),
            )
            .body(bytes::Bytes::new())
            .map_err(Internal::new)?;
        let failed = |text: String| CallbackError::PostAuth(text);
        let response = self
            .http()
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
