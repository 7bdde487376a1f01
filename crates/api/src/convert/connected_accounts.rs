use super::{
    structs::{from_json, to_json},
    time,
};
use keystead_agentkit::{
    accounts::{
        Account, AccountKey, AccountPatch, AccountStatus, CredentialInput, Grounds, NewAccount,
        ScopeSelection,
    },
    connections::Connection,
    providers::AuthKind,
};
use keystead_proto::v1::connected_accounts::{
    self as pb, AuthorizationDetails, authorization_details::Details,
};
use keystead_types::ConnectedAccountId;

/// The keys that every request which addresses an account has.
macro_rules! key_of {
    ($message:expr) => {{
        let message = &$message;
        keystead_agentkit::accounts::AccountKey {
            id: message.id.clone(),
            connector: message.connector.clone(),
            identifier: message.identifier.clone(),
            organization_id: message.organization_id.clone(),
            user_id: message.user_id.clone(),
        }
    }};
}
pub(crate) use key_of;

/// The key of an account by its id alone.
pub(crate) fn by_id(id: ConnectedAccountId) -> AccountKey {
    AccountKey {
        id: Some(id.to_string()),
        ..AccountKey::default()
    }
}

/// The number of an account's state.
pub(crate) const fn status(status: AccountStatus) -> i32 {
    let number = match status {
        AccountStatus::Active => pb::ConnectorStatus::Active,
        AccountStatus::Expired => pb::ConnectorStatus::Expired,
        AccountStatus::PendingAuth => pb::ConnectorStatus::PendingAuth,
        AccountStatus::PendingVerification => pb::ConnectorStatus::PendingVerification,
        AccountStatus::Disconnected => pb::ConnectorStatus::Disconnected,
    };
    number as i32
}

/// The stored word of a state to filter by; empty for any.
pub(crate) fn status_word(number: i32) -> String {
    use pb::ConnectorStatus as S;
    let status = match S::try_from(number).unwrap_or_default() {
        S::ConnectionStatusUnspecified => return String::new(),
        S::Active => AccountStatus::Active,
        S::Expired => AccountStatus::Expired,
        S::PendingAuth => AccountStatus::PendingAuth,
        S::PendingVerification => AccountStatus::PendingVerification,
        S::Disconnected => AccountStatus::Disconnected,
    };
    status.as_str().to_owned()
}

/// The number of a kind of credential; keys and templates that sign tokens are CUSTOM
/// (section 1.3).
pub(crate) const fn credential_kind(kind: AuthKind) -> i32 {
    let number = match kind {
        AuthKind::Oauth => pb::ConnectorType::Oauth,
        AuthKind::Basic => pb::ConnectorType::Basic,
        AuthKind::Bearer => pb::ConnectorType::BearerToken,
        AuthKind::ApiKey => pb::ConnectorType::ApiKey,
        AuthKind::OauthM2m => pb::ConnectorType::OauthM2m,
        AuthKind::TrelloOauth1 => pb::ConnectorType::TrelloOauth1,
        AuthKind::GoogleDwd => pb::ConnectorType::GoogleDwd,
        AuthKind::TrustedIdp => pb::ConnectorType::TrustedIdp,
        AuthKind::SmartFhir => pb::ConnectorType::SmartFhir,
        AuthKind::NoAuth => pb::ConnectorType::NoAuth,
        AuthKind::ServiceAccount | AuthKind::KeyPair | AuthKind::CustomJwt => {
            pb::ConnectorType::Custom
        }
    };
    number as i32
}

/// The credential that came with a request. A message without content means that none came
/// (AK-202).
pub(crate) fn credential(details: Option<AuthorizationDetails>) -> CredentialInput {
    match details.and_then(|details| details.details) {
        None => CredentialInput::Absent,
        Some(Details::OauthToken(token)) => CredentialInput::Oauth {
            access_token: token.access_token,
            refresh_token: token.refresh_token,
            scopes: token.scopes,
            domain: token.domain,
        },
        Some(Details::StaticAuth(fixed)) => {
            CredentialInput::Static(fixed.details.map(to_json).unwrap_or_default())
        }
        Some(Details::GoogleDwd(delegation)) => CredentialInput::GoogleDwd {
            subject: delegation.subject,
        },
        Some(Details::TrustedIdp(federation)) => CredentialInput::TrustedIdp {
            db_user: federation.db_user,
        },
    }
}

/// The stored credential in the clear, for the one call that may read it (AK-205). The message is
/// there even when there is no credential.
pub(crate) fn stored_credential(grounds: &Grounds) -> AuthorizationDetails {
    let credential = &grounds.credential;
    let kind = grounds.connection.kind;
    let details = match kind {
        _ if !credential.is_usable(kind) => None,
        AuthKind::Oauth | AuthKind::SmartFhir | AuthKind::TrelloOauth1 => {
            Some(Details::OauthToken(pb::OauthToken {
                access_token: credential.access_token.clone(),
                refresh_token: credential.refresh_token.clone(),
                scopes: credential.scopes.clone(),
                domain: credential.domain.clone(),
            }))
        }
        AuthKind::GoogleDwd => Some(Details::GoogleDwd(pb::GoogleDwdAuth {
            subject: credential.subject.clone(),
            access_token: credential.access_token.clone(),
            scopes: credential.scopes.clone(),
            token_expires_at: grounds.account.token_expires_at.and_then(time),
        })),
        // SECURITY: requests are signed here; who had secret and session token could sign elsewhere
        // (AK-229).
        AuthKind::TrustedIdp => Some(Details::TrustedIdp(pb::TrustedIdpAuth {
            db_user: credential.detail("db_user").to_owned(),
            access_key_id: credential.access_key_id.clone(),
            expiry: grounds.account.token_expires_at.and_then(time),
            secret_access_key: String::new(),
            session_token: String::new(),
        })),
        AuthKind::NoAuth => None,
        AuthKind::Basic
        | AuthKind::Bearer
        | AuthKind::ApiKey
        | AuthKind::OauthM2m
        | AuthKind::ServiceAccount
        | AuthKind::KeyPair
        | AuthKind::CustomJwt => Some(Details::StaticAuth(pb::StaticAuth {
            details: Some(from_json(credential.details.clone())),
        })),
    };
    AuthorizationDetails { details }
}

/// What may be told about the credential of an account without reading it: the granted scopes.
pub(crate) fn granted_scopes(account: &Account, kind: AuthKind) -> Option<AuthorizationDetails> {
    if account.scopes.is_empty() {
        return None;
    }
    let scopes = account.scopes.clone();
    let details = match kind {
        AuthKind::Oauth | AuthKind::SmartFhir | AuthKind::TrelloOauth1 => {
            Details::OauthToken(pb::OauthToken {
                scopes,
                ..pb::OauthToken::default()
            })
        }
        AuthKind::GoogleDwd => Details::GoogleDwd(pb::GoogleDwdAuth {
            scopes,
            ..pb::GoogleDwdAuth::default()
        }),
        _ => return None,
    };
    Some(AuthorizationDetails {
        details: Some(details),
    })
}

/// An account with what the call may tell of its credential. Unknown times are unset.
pub(crate) fn account(
    account: &Account,
    connection: &Connection,
    authorization_details: Option<AuthorizationDetails>,
) -> pb::ConnectedAccount {
    pb::ConnectedAccount {
        identifier: account.identifier.clone(),
        provider: connection.provider_key.clone(),
        status: status(account.status),
        authorization_type: credential_kind(connection.kind),
        authorization_details,
        token_expires_at: account.token_expires_at.and_then(time),
        updated_at: time(account.updated_at),
        connector: connection.key_id.clone(),
        last_used_at: account.last_used_at.and_then(time),
        id: account.id.to_string(),
        connection_id: account.connection_id.to_string(),
        api_config: Some(from_json(account.api_config.clone())),
        is_org_wide_credential: account.is_org_wide,
    }
}

/// An account as lists show it: without credential and settings (AK-209).
pub(crate) fn row(account: &Account, connection: &Connection) -> pb::ConnectedAccountForList {
    pb::ConnectedAccountForList {
        identifier: account.identifier.clone(),
        provider: connection.provider_key.clone(),
        status: status(account.status),
        authorization_type: credential_kind(connection.kind),
        token_expires_at: account.token_expires_at.and_then(time),
        updated_at: time(account.updated_at),
        connector: connection.key_id.clone(),
        last_used_at: account.last_used_at.and_then(time),
        id: account.id.to_string(),
        connection_id: account.connection_id.to_string(),
        is_org_wide_credential: account.is_org_wide,
    }
}

/// What a create request asks for.
pub(crate) fn create(message: pb::CreateConnectedAccountRequest) -> NewAccount {
    let content = message.connected_account.unwrap_or_default();
    NewAccount {
        connector: message.connector.unwrap_or_default(),
        identifier: message.identifier.unwrap_or_default(),
        organization_id: message.organization_id.unwrap_or_default(),
        user_id: message.user_id.unwrap_or_default(),
        credential: credential(content.authorization_details),
        api_config: content.api_config.map(to_json).unwrap_or_default(),
    }
}

/// What an update request asks for.
pub(crate) fn update(message: pb::UpdateConnectedAccountRequest) -> AccountPatch {
    let content = message.connected_account.unwrap_or_default();
    AccountPatch {
        credential: credential(content.authorization_details),
        api_config: content.api_config.map(to_json).unwrap_or_default(),
        scope_selection: message.scope_selection.map(scope_selection),
    }
}

/// Both buckets are read together: a missing one is empty (AK-307).
pub(crate) fn scope_selection(sent: pb::ScopeSelection) -> ScopeSelection {
    ScopeSelection {
        scopes: sent.scopes,
        optional_scopes: sent.optional_scopes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sent(details: Details) -> CredentialInput {
        credential(Some(AuthorizationDetails {
            details: Some(details),
        }))
    }

    /// AK-202, section 5 items 9 and 25: none of these is a credential.
    #[test]
    fn empty_messages_are_no_credential() {
        assert!(credential(None).is_absent());
        assert!(credential(Some(AuthorizationDetails::default())).is_absent());
        assert!(sent(Details::OauthToken(pb::OauthToken::default())).is_absent());
        assert!(sent(Details::StaticAuth(pb::StaticAuth::default())).is_absent());
        assert!(sent(Details::TrustedIdp(pb::TrustedIdpAuth::default())).is_absent());
    }

    #[test]
    fn credentials_arrive_whole() {
        let token = pb::OauthToken {
            access_token: "a".to_owned(),
            refresh_token: "r".to_owned(),
            scopes: vec!["s".to_owned()],
            domain: "d".to_owned(),
        };
        let CredentialInput::Oauth {
            access_token,
            refresh_token,
            scopes,
            domain,
        } = sent(Details::OauthToken(token.clone()))
        else {
            panic!("not OAuth");
        };
        let arrived = pb::OauthToken {
            access_token,
            refresh_token,
            scopes,
            domain,
        };
        assert_eq!(arrived, token);
        let details = json!({ "username": "u", "nested": { "list": [1, true, null] } });
        let details = details.as_object().unwrap();
        let fixed = sent(Details::StaticAuth(pb::StaticAuth {
            details: Some(from_json(details.clone())),
        }));
        let CredentialInput::Static(arrived) = fixed else {
            panic!("not static");
        };
        assert_eq!(&arrived, details);
    }

    /// Section 5 item 10: the clients compare these numbers.
    #[test]
    fn states_have_the_numbers_of_the_contract() {
        let numbers = [
            AccountStatus::Active,
            AccountStatus::Expired,
            AccountStatus::PendingAuth,
            AccountStatus::PendingVerification,
            AccountStatus::Disconnected,
        ];
        assert_eq!(numbers.map(status), [1, 2, 3, 4, 5]);
        assert_eq!(credential_kind(AuthKind::Basic), 6);
        assert_eq!(credential_kind(AuthKind::KeyPair), 5);
    }

    /// Part of AK-621: events and messages name the kind alike.
    #[test]
    fn the_words_of_events_are_those_of_the_messages() {
        use AuthKind::{
            ApiKey, Basic, Bearer, CustomJwt, GoogleDwd, KeyPair, NoAuth, Oauth, OauthM2m,
            ServiceAccount, SmartFhir, TrelloOauth1, TrustedIdp,
        };
        for kind in [
            Oauth,
            Basic,
            Bearer,
            ApiKey,
            OauthM2m,
            TrelloOauth1,
            GoogleDwd,
            TrustedIdp,
            SmartFhir,
            NoAuth,
            ServiceAccount,
            KeyPair,
            CustomJwt,
        ] {
            let message = pb::ConnectorType::try_from(credential_kind(kind)).unwrap();
            assert_eq!(message.as_str_name(), kind.credential_type());
        }
    }

    /// AK-211: null deletes a key, so it must survive.
    #[test]
    fn null_settings_survive() {
        let config = json!({ "gone": null });
        let message = pb::UpdateConnectedAccountRequest {
            connected_account: Some(pb::UpdateConnectedAccount {
                api_config: Some(from_json(config.as_object().unwrap().clone())),
                authorization_details: None,
            }),
            ..pb::UpdateConnectedAccountRequest::default()
        };
        assert_eq!(json!(update(message).api_config), config);
    }

    /// AK-621: events say `authorization_type` in the words of the contract.
    #[test]
    fn events_and_the_contract_have_the_same_words() {
        for kind in [
            AuthKind::Oauth,
            AuthKind::Basic,
            AuthKind::Bearer,
            AuthKind::ApiKey,
            AuthKind::OauthM2m,
            AuthKind::TrelloOauth1,
            AuthKind::GoogleDwd,
            AuthKind::TrustedIdp,
            AuthKind::SmartFhir,
            AuthKind::NoAuth,
            AuthKind::ServiceAccount,
            AuthKind::KeyPair,
            AuthKind::CustomJwt,
        ] {
            let word = pb::ConnectorType::from_str_name(kind.credential_type());
            assert_eq!(word.map(i32::from), Some(credential_kind(kind)), "{kind:?}");
        }
    }
}
