//! `ConnectedAccountService`: accounts, their credentials and the links that connect them.
//!
//! Self-service (`my-…`) is not built: it needs sessions of end users, which do not exist yet.

use crate::{
    App,
    convert::{
        connected_accounts::{self as convert, key_of},
        connections, structs, time, total,
    },
    request::{Reply, open, small_page},
    status::{failed, internal},
};
use keystead_agentkit::{
    AgentKit, Error,
    accounts::{
        AccountKey, AccountListing, AccountPatch, CredentialInput, Grounds, ScopeSelection,
    },
    links::NewLink,
};
use keystead_authz::{Caller, Denied};
use keystead_proto::v1::connected_accounts::{
    self as pb, AuthorizationDetails, connected_account_service_server::ConnectedAccountService,
};
use keystead_types::{Internal, PageRequest, PageSize, Secret};
use std::sync::Arc;
use tonic::{Request, Response, Status, async_trait, metadata::MetadataValue};

pub(crate) struct ConnectedAccounts(pub(crate) App);

/// Limits a visitor of a connect link to the account of the link; another id names nothing for him.
fn limited(caller: &Caller, key: AccountKey) -> Result<AccountKey, Status> {
    let key = key.normalised();
    let Some(own) = caller.only_account().map(|id| id.to_string()) else {
        return Ok(key);
    };
    if key.id.as_ref().is_some_and(|id| *id != own) {
        return Err(failed(Error::AccountNotFound));
    }
    Ok(AccountKey {
        id: Some(own),
        ..key
    })
}

fn id_key(id: String) -> AccountKey {
    AccountKey {
        id: Some(id),
        ..AccountKey::default()
    }
}

/// A changed account. The credential is not repeated: the message is there, and empty (section 5,
/// item 25).
fn changed(grounds: &Grounds) -> pb::ConnectedAccount {
    let nothing = Some(AuthorizationDetails::default());
    convert::account(&grounds.account, &grounds.connection, nothing)
}

impl ConnectedAccounts {
    const fn kit(&self) -> &AgentKit {
        &self.0.agentkit
    }

    /// The account of a key without its credential.
    async fn described(
        &self,
        caller: &Caller,
        key: AccountKey,
        scopes: Scopes,
    ) -> Result<pb::ConnectedAccount, Status> {
        let (kit, env) = (self.kit(), caller.env());
        let account = kit.account(env, key).await.map_err(failed)?;
        let connection = kit
            .connection(env, account.connection_id)
            .await
            .map_err(failed)?;
        let details = match scopes {
            Scopes::Shown => convert::granted_scopes(&account, connection.kind),
            Scopes::LeftOut => None,
        };
        Ok(convert::account(&account, &connection, details))
    }

    /// Changes an account; a visitor of a connect link may do what the connect page does.
    async fn update(
        &self,
        caller: &Caller,
        key: AccountKey,
        patch: AccountPatch,
    ) -> Result<Arc<Grounds>, Status> {
        let (kit, env) = (self.kit(), caller.env());
        let Some(account) = caller.only_account() else {
            let updated = kit.update_account(env, &caller.actor(), key, patch).await;
            return updated.map_err(failed);
        };
        // SECURITY: tokens would skip the consent and its verification.
        if !matches!(patch.credential, CredentialInput::Static(_)) && !patch.credential.is_absent()
        {
            return Err(failed(Denied::Kind));
        }
        let link = caller.only_link();
        let link = link.ok_or_else(|| failed(Error::AuthRequestNotFound))?;
        let updated = kit.update_by_link(env, account, link, patch).await;
        updated.map_err(failed)
    }

    /// SECURITY: whoever may write accounts must not take the shared credential from all users;
    /// members authorize it, and end it.
    async fn check_shared(&self, caller: &Caller, key: &AccountKey) -> Result<(), Status> {
        if caller.require_member().is_ok() {
            return Ok(());
        }
        let account = self.kit().account(caller.env(), key.clone()).await;
        if account.map_err(failed)?.is_org_wide {
            return Err(failed(Error::SharedCredential("let a member end it")));
        }
        Ok(())
    }

    /// Where a visitor of a connect link consents. The cookie ties the trip to his browser: the
    /// provider's answer is taken from nobody else (AK-309).
    async fn consent(
        &self,
        caller: &Caller,
        selection: Option<ScopeSelection>,
    ) -> Reply<pb::GetRedirectUrlResponse> {
        let ended = || failed(Error::AuthRequestNotFound);
        let account = caller.only_account().ok_or_else(ended)?;
        let link = caller.only_link().ok_or_else(ended)?;
        let consent = self
            .kit()
            .begin_portal_consent(caller.env(), account, link, selection)
            .await
            .map_err(failed)?;
        let mut response = Response::new(pb::GetRedirectUrlResponse {
            redirect_url: consent.url.to_string(),
        });
        let cookie = format!(
            "__Host-sk_connect-{}={}; Path=/; Max-Age=900; Secure; HttpOnly; SameSite=Lax",
            consent.flow,
            consent.browser.expose()
        );
        let mut cookie =
            MetadataValue::try_from(cookie).map_err(|error| internal(Internal::new(error)))?;
        cookie.set_sensitive(true);
        response.metadata_mut().insert("set-cookie", cookie);
        Ok(response)
    }

    async fn listed(
        &self,
        caller: &Caller,
        listing: &AccountListing,
        page: &PageRequest,
    ) -> Result<keystead_types::Page<pb::ConnectedAccountForList>, Status> {
        let listed = self
            .kit()
            .list_accounts(caller.env(), listing, page)
            .await
            .map_err(failed)?;
        Ok(listed.map(|(account, connection)| convert::row(&account, &connection)))
    }
}

/// Whether an account is shown with its granted scopes.
#[derive(Clone, Copy)]
enum Scopes {
    Shown,
    LeftOut,
}

#[async_trait]
impl ConnectedAccountService for ConnectedAccounts {
    async fn list_connected_accounts(
        &self,
        request: Request<pb::ListConnectedAccountsRequest>,
    ) -> Reply<pb::ListConnectedAccountsResponse> {
        let (caller, message) = open(request)?;
        let connector = message.connector.filter(|name| !name.is_empty());
        let mut connection_names = message.connection_names;
        if connector.is_some() && !connection_names.is_empty() {
            return Err(failed(Error::field(
                "connection_names",
                "cannot be given together with connector",
            )));
        }
        connection_names.extend(connector);
        let listing = AccountListing {
            connection_names,
            provider: message.provider,
            identifier: message.identifier.unwrap_or_default(),
            organization_id: message.organization_id.unwrap_or_default(),
            user_id: message.user_id.unwrap_or_default(),
            query: message.query,
            is_org_wide: message.is_org_wide_credential,
            status: convert::status_word(message.status),
            ..AccountListing::default()
        };
        let page = PageRequest {
            size: PageSize::clamp(message.page_size, 10, 100),
            token: message.page_token,
        };
        let listed = self.listed(&caller, &listing, &page).await?;
        Ok(Response::new(pb::ListConnectedAccountsResponse {
            connected_accounts: listed.items,
            total_size: total(listed.total_size),
            next_page_token: listed.next_page_token,
            prev_page_token: listed.prev_page_token,
        }))
    }

    async fn search_connected_accounts(
        &self,
        request: Request<pb::SearchConnectedAccountsRequest>,
    ) -> Reply<pb::SearchConnectedAccountsResponse> {
        let (caller, message) = open(request)?;
        let listing = AccountListing {
            query: message.query,
            connection_id: message.connection_id,
            ..AccountListing::default()
        };
        let page = small_page(message.page_size, message.page_token);
        let listed = self.listed(&caller, &listing, &page).await?;
        Ok(Response::new(pb::SearchConnectedAccountsResponse {
            connected_accounts: listed.items,
            total_size: total(listed.total_size),
            next_page_token: listed.next_page_token,
            prev_page_token: listed.prev_page_token,
        }))
    }

    async fn create_connected_account(
        &self,
        request: Request<pb::CreateConnectedAccountRequest>,
    ) -> Reply<pb::CreateConnectedAccountResponse> {
        let (caller, message) = open(request)?;
        let created = self
            .kit()
            .create_account(caller.env(), &caller.actor(), convert::create(message))
            .await
            .map_err(failed)?;
        Ok(Response::new(pb::CreateConnectedAccountResponse {
            connected_account: Some(changed(&created)),
        }))
    }

    async fn update_connected_account(
        &self,
        request: Request<pb::UpdateConnectedAccountRequest>,
    ) -> Reply<pb::UpdateConnectedAccountResponse> {
        let (caller, message) = open(request)?;
        let key = limited(&caller, key_of!(message))?;
        let patch = convert::update(message);
        let updated = self.update(&caller, key, patch).await?;
        Ok(Response::new(pb::UpdateConnectedAccountResponse {
            connected_account: Some(changed(&updated)),
        }))
    }

    async fn delete_connected_account(
        &self,
        request: Request<pb::DeleteConnectedAccountRequest>,
    ) -> Reply<pb::DeleteConnectedAccountResponse> {
        let (caller, message) = open(request)?;
        let key = key_of!(message).normalised();
        self.check_shared(&caller, &key).await?;
        self.kit()
            .delete_account(caller.env(), &caller.actor(), key)
            .await
            .map_err(failed)?;
        Ok(Response::new(pb::DeleteConnectedAccountResponse {}))
    }

    async fn get_magic_link_for_connected_account(
        &self,
        request: Request<pb::GetMagicLinkForConnectedAccountRequest>,
    ) -> Reply<pb::GetMagicLinkForConnectedAccountResponse> {
        let (caller, message) = open(request)?;
        let new = NewLink {
            key: key_of!(message),
            state: message.state.unwrap_or_default(),
            user_verify_url: message.user_verify_url.unwrap_or_default(),
        };
        let link = self
            .kit()
            .create_link(caller.env(), &caller.actor(), new)
            .await
            .map_err(failed)?;
        Ok(Response::new(pb::GetMagicLinkForConnectedAccountResponse {
            link: link.url.expose().clone(),
            expiry: time(link.expires_at),
        }))
    }

    async fn get_connected_account(
        &self,
        request: Request<pb::GetConnectedAccountRequest>,
    ) -> Reply<pb::GetConnectedAccountResponse> {
        let (caller, message) = open(request)?;
        let key = limited(&caller, id_key(message.id))?;
        let connected_account = Some(self.described(&caller, key, Scopes::Shown).await?);
        Ok(Response::new(pb::GetConnectedAccountResponse {
            connected_account,
        }))
    }

    async fn disconnect_connected_account(
        &self,
        request: Request<pb::DisconnectConnectedAccountRequest>,
    ) -> Reply<pb::DisconnectConnectedAccountResponse> {
        let (caller, message) = open(request)?;
        let key = limited(&caller, id_key(message.id))?;
        self.check_shared(&caller, &key).await?;
        let (account, connection) = self
            .kit()
            .disconnect_account(caller.env(), &caller.actor(), key)
            .await
            .map_err(failed)?;
        let nothing = Some(AuthorizationDetails::default());
        Ok(Response::new(pb::DisconnectConnectedAccountResponse {
            connected_account: Some(convert::account(&account, &connection, nothing)),
        }))
    }

    async fn get_connected_account_auth(
        &self,
        request: Request<pb::GetConnectedAccountByIdentifierRequest>,
    ) -> Reply<pb::GetConnectedAccountByIdentifierResponse> {
        let (caller, message) = open(request)?;
        let grounds = self
            .kit()
            .read_credential(caller.env(), &caller.actor(), key_of!(message))
            .await
            .map_err(failed)?;
        let details = Some(convert::stored_credential(&grounds));
        let connected_account = Some(convert::account(
            &grounds.account,
            &grounds.connection,
            details,
        ));
        Ok(Response::new(pb::GetConnectedAccountByIdentifierResponse {
            connected_account,
        }))
    }

    async fn get_connected_account_details(
        &self,
        request: Request<pb::GetConnectedAccountByIdentifierRequest>,
    ) -> Reply<pb::GetConnectedAccountByIdentifierResponse> {
        let (caller, message) = open(request)?;
        let described = self.described(&caller, key_of!(message), Scopes::LeftOut);
        let connected_account = Some(described.await?);
        Ok(Response::new(pb::GetConnectedAccountByIdentifierResponse {
            connected_account,
        }))
    }

    async fn authorize_org_wide_credential(
        &self,
        request: Request<pb::AuthorizeOrgWideCredentialRequest>,
    ) -> Reply<pb::AuthorizeOrgWideCredentialResponse> {
        let (caller, message) = open(request)?;
        let connection = connections::id(&message.connection_id).map_err(failed)?;
        let authorized = self
            .kit()
            .authorize_org_wide(
                caller.env(),
                &caller.actor(),
                connection,
                convert::credential(message.authorization_details),
                message.api_config.map(structs::to_json).unwrap_or_default(),
            )
            .await
            .map_err(failed)?;
        let link = authorized.link.as_ref();
        Ok(Response::new(pb::AuthorizeOrgWideCredentialResponse {
            link: link.map(|link| link.url.expose().clone()),
            expiry: link.and_then(|link| time(link.expires_at)),
            connected_account_id: authorized.account.id.to_string(),
            status: convert::status(authorized.account.status),
        }))
    }

    async fn get_redirect_url(
        &self,
        request: Request<pb::GetRedirectUrlRequest>,
    ) -> Reply<pb::GetRedirectUrlResponse> {
        let (caller, _) = open(request)?;
        self.consent(&caller, None).await
    }

    async fn create_redirect_url(
        &self,
        request: Request<pb::CreateRedirectUrlRequest>,
    ) -> Reply<pb::GetRedirectUrlResponse> {
        let (caller, message) = open(request)?;
        let selection = message.scope_selection.map(convert::scope_selection);
        self.consent(&caller, selection).await
    }

    async fn verify_connected_account_user(
        &self,
        request: Request<pb::VerifyConnectedAccountUserRequest>,
    ) -> Reply<pb::VerifyConnectedAccountUserResponse> {
        let (caller, message) = open(request)?;
        let auth_request = Secret::new(message.auth_request_id);
        let verified = self
            .kit()
            .verify_user(
                caller.env(),
                &caller.actor(),
                &auth_request,
                &message.identifier,
            )
            .await;
        Ok(Response::new(pb::VerifyConnectedAccountUserResponse {
            post_user_verify_redirect_url: verified.map_err(failed)?,
        }))
    }
}
