//! The connect page's own way to the provider, for visitors who call the API (AK-306).

use super::{Consent, OpenLink, form::visitor};
use crate::{
    AgentKit, Error,
    accounts::{AccountPatch, ScopeSelection},
    error::Result,
};
use keystead_store::entities::auth_links;
use keystead_types::{AuthRequestId, ConnectedAccountId, EnvironmentId};

impl AgentKit {
    /// Begins a consent for the visitor of a link; with a selection it is stored first (AK-307).
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
        let now = self.ctx().clock.now();
        let row = auth_links::find_link_by_id(&mut self.ctx().db.read(env), link).await?;
        let row = row
            .filter(|row| row.account_id == account)
            .filter(|row| row.completed_at.is_none() && row.expires_at > now)
            .ok_or(Error::AuthRequestNotFound)?;
        let mut link = self.opened(env, row).await?;
        if let Some(selection) = selection {
            if !link.grounds.connection.settings.scope_selection_allowed {
                return Err(Error::field(
                    "scope_selection",
                    "is not offered by the connection",
                ));
            }
            let patch = AccountPatch {
                scope_selection: Some(selection),
                ..AccountPatch::default()
            };
            let actor = visitor(&link);
            let OpenLink { row, grounds } = link;
            let grounds = self
                .change_account(env, &actor, grounds, patch, None)
                .await?;
            link = OpenLink { row, grounds };
        }
        self.begin_consent(env, &link).await
    }
}
