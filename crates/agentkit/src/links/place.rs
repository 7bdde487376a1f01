//! Which of several sites or tenants of a grant is meant: the user says it after the consent
//! (AK-013).
//!
//! The grant waits in a row of its own, like the trip to the provider before it: for one answer of
//! the same browser, and not for long.

use super::{
    FLOW_LIFETIME,
    callback::{CallbackEnd, CallbackError},
    consenter::text,
    purpose,
    settle::PendingGrant,
};
use crate::{AgentKit, Error, accounts::Grounds, vault::Sealed};
use keystead_crypto::{TokenHash, random_token};
use keystead_store::entities::auth_links::{self, FlowRow};
use keystead_types::{AuthRequestId, EnvironmentId, Secret};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// A site, tenant or organisation that a grant is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The provider's id of it.
    pub value: String,
    /// Its name, as the provider writes it.
    pub label: String,
    /// Its address, or empty.
    pub about: String,
}

/// What the user has to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenQuestion {
    /// The account setting that the answer becomes.
    pub name: String,
    /// What the provider calls such a place: `site`, `organisation`.
    pub noun: String,
    /// The places, in the provider's order.
    pub places: Vec<Place>,
}

/// A question, and the account it is about.
#[derive(Clone)]
pub struct ToChoose {
    /// The account.
    pub grounds: Arc<Grounds>,
    /// The question.
    pub question: OpenQuestion,
}

/// As much of what a trip holds as is needed to give a grant back.
#[derive(Deserialize)]
struct MayWait {
    /// Absent while the browser is at the provider.
    grant: Option<PendingGrant>,
}

/// What waits for the answer; sealed.
#[derive(Serialize, Deserialize)]
struct Waiting {
    grant: PendingGrant,
    question: OpenQuestion,
}

impl OpenQuestion {
    /// The sites of an Atlassian grant that have the connector's product. Each site is listed once
    /// per product, with scopes such as `read:jira-work` or `read:page:confluence`.
    pub(super) fn of_atlassian(sites: &Value, base_url: &str) -> Self {
        let product = base_url
            .split_once("/ex/")
            .and_then(|(_, rest)| rest.split('/').next());
        let has_product = |site: &Value| {
            let scopes = site.get("scopes").and_then(Value::as_array);
            scopes.zip(product).is_none_or(|(scopes, product)| {
                let mut scopes = scopes.iter().filter_map(Value::as_str);
                scopes.any(|scope| scope.contains(product))
            })
        };
        let listed = sites.as_array().map(Vec::as_slice).unwrap_or_default();
        Self::new(
            "cloud_id",
            "site",
            listed
                .iter()
                .filter(|site| has_product(site))
                .filter_map(|site| Place::of(site, "id", "name", "url")),
        )
    }

    /// The tenants of a Xero grant.
    pub(super) fn of_xero(tenants: &Value) -> Self {
        let listed = tenants.as_array().map(Vec::as_slice).unwrap_or_default();
        let places = listed
            .iter()
            .filter_map(|tenant| Place::of(tenant, "tenantId", "tenantName", ""));
        Self::new("tenant_id", "organisation", places)
    }

    fn new(name: &str, noun: &str, listed: impl Iterator<Item = Place>) -> Self {
        let mut places: Vec<Place> = Vec::new();
        for place in listed {
            if !places.iter().any(|known| known.value == place.value) {
                places.push(place);
            }
        }
        Self {
            name: name.to_owned(),
            noun: noun.to_owned(),
            places,
        }
    }

    pub(super) fn offers(&self, value: &str) -> bool {
        self.places.iter().any(|place| place.value == value)
    }
}

impl Place {
    fn of(listed: &Value, id: &str, label: &str, about: &str) -> Option<Self> {
        let value = listed.get(id)?.as_str()?.to_owned();
        let shown = |name: &str| listed.get(name).and_then(text).unwrap_or_default();
        let label = Some(shown(label)).filter(|label| !label.is_empty());
        Some(Self {
            label: label.unwrap_or_else(|| value.clone()),
            about: shown(about),
            value,
        })
    }
}

type Result<T> = std::result::Result<T, CallbackError>;

impl AgentKit {
    /// Lets a grant wait for the user's answer; gives what the answer must name. `flow` is the trip
    /// that brought the grant: the answer must come from the same browser.
    pub(super) async fn ask_place(
        &self,
        env: EnvironmentId,
        flow: &FlowRow,
        grant: PendingGrant,
        question: OpenQuestion,
    ) -> Result<CallbackEnd> {
        let ctx = self.ctx();
        let request = random_token(&*ctx.rng, "", 32);
        let id: AuthRequestId = ctx.ids.next(&*ctx.clock);
        let waiting = Waiting { grant, question };
        let sealed = self
            .seal(env, Sealed::Flow(&id.to_string()), &waiting)
            .await?;
        let row = FlowRow {
            id,
            sealed,
            ..flow.clone()
        };
        let now = ctx.clock.now();
        let mut tx = ctx.db.begin(env).await?;
        let hash = self.place_hash(&request);
        auth_links::insert_flow(&mut tx, hash.as_bytes(), &row, now, now.plus(FLOW_LIFETIME))
            .await?;
        tx.commit().await?;
        Ok(CallbackEnd::Choose(request))
    }

    /// What a browser has to choose. Changes nothing.
    ///
    /// # Errors
    /// [`CallbackError::InvalidState`] when the request is unknown, answered or of another browser.
    pub async fn place_to_choose(
        &self,
        env: EnvironmentId,
        browser: Option<&Secret<String>>,
        request: &Secret<String>,
    ) -> Result<ToChoose> {
        let (row, waiting) = self.waiting(env, browser, request).await?;
        let link = self.unfinished(env, row.link_id).await?;
        Ok(ToChoose {
            grounds: link.grounds,
            question: waiting.question,
        })
    }

    /// Finishes a consent with the place the user chose. `None`, and nothing spent, when it is not
    /// one of those offered.
    ///
    /// # Errors
    /// As [`Self::place_to_choose`], and those of [`Self::finish_consent`].
    pub async fn choose_place(
        &self,
        env: EnvironmentId,
        browser: Option<&Secret<String>>,
        request: &Secret<String>,
        value: &str,
    ) -> Result<Option<CallbackEnd>> {
        let (row, waiting) = self.waiting(env, browser, request).await?;
        let Waiting {
            mut grant,
            question,
        } = waiting;
        // SECURITY: only what the grant is good for: the setting is part of every later call.
        if !question.offers(value) {
            return Ok(None);
        }
        let link = self.unfinished(env, row.link_id).await?;
        let mut tx = self.ctx().db.begin(env).await?;
        let spent = auth_links::redeem_flow(
            &mut tx,
            self.place_hash(request).as_bytes(),
            row.connection_id,
            &row.browser_hash,
            self.ctx().clock.now(),
        )
        .await?;
        tx.commit().await?;
        spent.ok_or(CallbackError::InvalidState)?;
        grant
            .account_values
            .insert(question.name, Value::String(value.to_owned()));
        self.settle_or_drop(env, &link, grant).await.map(Some)
    }

    /// Revokes the grants of trips that nobody will finish: those that waited for an answer.
    pub(crate) async fn revoke_waiting(&self, grounds: &Grounds, flows: &[FlowRow]) {
        for flow in flows {
            let id = flow.id.to_string();
            let place = Sealed::Flow(&id);
            let opened = self.open_sealed(grounds.environment, place, &flow.sealed);
            match opened.await {
                Ok(MayWait { grant: Some(grant) }) => {
                    self.revoke_unused(grounds, &grant.credential);
                }
                Ok(MayWait { grant: None }) => {}
                Err(error) => tracing::warn!(flow = %id, %error, "a trip cannot be read"),
            }
        }
    }

    async fn waiting(
        &self,
        env: EnvironmentId,
        browser: Option<&Secret<String>>,
        request: &Secret<String>,
    ) -> Result<(FlowRow, Waiting)> {
        let browser = browser.ok_or(CallbackError::InvalidState)?;
        let browser = self
            .ctx()
            .keys
            .hasher
            .hash(purpose::BROWSER, browser.expose());
        let row = auth_links::find_flow(
            &mut self.ctx().db.read(env),
            self.place_hash(request).as_bytes(),
            browser.as_bytes(),
            self.ctx().clock.now(),
        )
        .await?
        .ok_or(CallbackError::InvalidState)?;
        let waiting = self
            .open_sealed(env, Sealed::Flow(&row.id.to_string()), &row.sealed)
            .await?;
        Ok((row, waiting))
    }

    /// SECURITY: hashed for a purpose of its own, so that it can never pass for the `state` of a
    /// callback, nor a `state` for it.
    fn place_hash(&self, request: &Secret<String>) -> TokenHash {
        self.ctx()
            .keys
            .hasher
            .hash(purpose::PLACE, request.expose())
    }

    /// The live link that a trip belongs to.
    pub(super) async fn unfinished(
        &self,
        env: EnvironmentId,
        id: AuthRequestId,
    ) -> Result<super::OpenLink> {
        let link = auth_links::find_link_by_id(&mut self.ctx().db.read(env), id).await?;
        let link = link.ok_or(CallbackError::SessionExpired)?;
        if link.completed_at.is_some() || link.expires_at <= self.ctx().clock.now() {
            return Err(CallbackError::SessionExpired);
        }
        self.opened(env, link).await.map_err(|error| match error {
            Error::AuthRequestNotFound => CallbackError::SessionExpired,
            other => CallbackError::Other(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Part of AK-013: of Atlassian's list only the sites of the product, each once.
    #[test]
    fn sites_of_another_product_are_left_out() {
        let sites = json!([
            {"id": "1", "name": "acme", "url": "https://acme.atlassian.net", "scopes": ["read:page:confluence"]},
            {"id": "1", "name": "acme", "url": "https://acme.atlassian.net", "scopes": ["read:jira-work"]},
            {"id": "2", "name": "beta\u{7}", "scopes": ["read:board-scope:jira-software"]},
            {"id": "2", "scopes": ["read:jira-user"]},
            {"name": "without an id"},
        ]);
        let jira = OpenQuestion::of_atlassian(&sites, "https://api.test/ex/jira/{{cloud_id}}");
        let names: Vec<(&str, &str)> = jira
            .places
            .iter()
            .map(|place| (place.value.as_str(), place.label.as_str()))
            .collect();
        assert_eq!(names, [("1", "acme"), ("2", "beta")]);
        assert_eq!(jira.places[0].about, "https://acme.atlassian.net");
        let confluence =
            OpenQuestion::of_atlassian(&sites, "https://api.test/ex/confluence/{{cloud_id}}");
        assert_eq!(confluence.places.len(), 1);
    }
}
