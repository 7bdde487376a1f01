//! The connect page's own way to the provider, for visitors who call the API (AK-306).

use super::{Consent, OpenLink, consent::Chosen, form::visitor};
use crate::{
    AgentKit, Error,
    accounts::{AccountPatch, CredentialInput, Grounds, ScopeSelection, Via, unnested},
    error::Result,
    providers::Field,
};
use keystead_store::entities::auth_links;
use keystead_types::{AuthRequestId, ConnectedAccountId, EnvironmentId};
use serde_json::{Map, Value};
use std::sync::Arc;

impl AgentKit {
    /// Begins a consent for the visitor of a link, with the scopes he chose if he may (AK-307).
    ///
    /// # Errors
    /// [`Error::AuthRequestNotFound`] when the link was finished or ran out, [`Error::Invalid`] for
    /// scopes that the connection does not have, and those of [`Self::begin_consent`].
    pub async fn begin_portal_consent(
        &self,
        env: EnvironmentId,
        account: ConnectedAccountId,
        link: AuthRequestId,
        selection: Option<ScopeSelection>,
    ) -> Result<Consent> {
        let link = self.portal_link(env, account, link).await?;
        if selection.is_some() && !link.grounds.connection.settings.scope_selection_allowed {
            return Err(Error::field(
                "scope_selection",
                "is not offered by the connection",
            ));
        }
        let chosen = Chosen {
            scope_selection: selection,
            ..Chosen::default()
        };
        self.begin_consent_with(env, &link, chosen).await
    }

    /// Stores a static credential for the visitor of a link, which that uses up (AK-306).
    ///
    /// SECURITY: tokens would skip the consent and its verification, and what the page does not ask
    /// for would steer the developer's calls.
    ///
    /// # Errors
    /// [`Error::AuthRequestNotFound`] when the link was finished or ran out, [`Error::Invalid`] for
    /// what the page does not ask for and for fields that must be sent again, and those of
    /// [`Self::update_account`].
    pub async fn update_by_link(
        &self,
        env: EnvironmentId,
        account: ConnectedAccountId,
        link: AuthRequestId,
        patch: AccountPatch,
    ) -> Result<Arc<Grounds>> {
        let link = self.portal_link(env, account, link).await?;
        let grounds = Arc::clone(&link.grounds);
        if grounds.account.is_org_wide {
            return Err(Error::SharedCredential("authorize it for the organization"));
        }
        let (actor, redirects) = (visitor(&link), grounds.connection.kind.is_redirect());
        // Which scopes a first consent asks for harms no account that is connected already.
        let only_scopes = patch.credential.is_absent() && patch.api_config.is_empty();
        if redirects && only_scopes && grounds.row.credential.is_none() {
            return self
                .change_account(env, &actor, grounds, patch, Via::Api)
                .await;
        }
        let CredentialInput::Static(details) = &patch.credential else {
            return Err(Error::field(
                "authorization_details",
                "must hold what the page asks for",
            ));
        };
        if grounds.consents_only() || details.is_empty() {
            return Err(Error::field(
                "authorization_details",
                "must hold what the page asks for",
            ));
        }
        let (pattern, api_config) = (&grounds.pattern, &patch.api_config);
        require_asked(
            &pattern.fields,
            &unnested(details.clone()),
            "authorization_details",
        )?;
        require_asked(&pattern.account_fields, api_config, "api_config")?;
        let via = Via::Link(link.row.id);
        self.change_account(env, &actor, grounds, patch, via).await
    }

    /// The live link of a visitor.
    async fn portal_link(
        &self,
        env: EnvironmentId,
        account: ConnectedAccountId,
        link: AuthRequestId,
    ) -> Result<OpenLink> {
        let now = self.ctx().clock.now();
        let row = auth_links::find_link_by_id(&mut self.ctx().db.read(env), link).await?;
        let row = row
            .filter(|row| row.account_id == account)
            .filter(|row| row.completed_at.is_none() && row.expires_at > now)
            .ok_or(Error::AuthRequestNotFound)?;
        self.opened(env, row).await
    }
}

/// Whether all that was sent are texts that the page asks for.
fn require_asked(fields: &[Field], sent: &Map<String, Value>, place: &str) -> Result<()> {
    let asked = |name: &String| fields.iter().any(|field| field.field_name == *name);
    if sent
        .iter()
        .all(|(name, value)| value.is_string() && asked(name))
    {
        Ok(())
    } else {
        let place = format!("connected_account.{place}");
        Err(Error::field(
            &place,
            "may hold only what the connect page asks for",
        ))
    }
}
