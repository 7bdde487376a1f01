//! The settings of a connection, both ways. Secrets go in and never come out.

use super::{
    connections::kind_number,
    structs::{from_json, to_json},
};
use keystead_agentkit::{
    Error,
    connections::{
        Connection, ConnectionPatch, ConnectionSettings, GoogleDwdSettings, OptionalScopes,
        SecretsPatch, SmartSettings,
    },
    providers::AuthKind,
};
use keystead_proto::{
    ExplicitFields,
    v1::connections::{
        self as pb, connection::Settings as Shown, update_connection::Settings as Sent,
    },
    wrappers::{BoolValue, StringValue},
};
use keystead_types::Secret;

/// What stands for a stored secret. Sent back, it means the stored one.
pub(crate) const MASK: &str = "********";

/// Whether the settings of a kind are those of an OAuth client.
const fn is_oauth(kind: AuthKind) -> bool {
    matches!(
        kind,
        AuthKind::Oauth | AuthKind::SmartFhir | AuthKind::TrelloOauth1 | AuthKind::OauthM2m
    )
}

/// The settings as stored, not filled up with what the connector says: sent back, they change
/// nothing.
pub(crate) fn settings(connection: &Connection, redirect_uri: String) -> Shown {
    let stored = &connection.settings;
    match (&stored.google_dwd, connection.kind) {
        (_, kind) if is_oauth(kind) => Shown::OauthConfig(oauth(connection, redirect_uri)),
        (dwd, AuthKind::GoogleDwd) => {
            let dwd = dwd.clone().unwrap_or_default();
            Shown::GoogleDwdConfig(pb::GoogleDwdConfig {
                service_account_json: masked(&connection.secrets.service_account_json),
                scopes: dwd.scopes,
                token_uri: text(dwd.token_uri.as_ref()),
                scope_selection_allowed: Some(BoolValue {
                    value: dwd.scope_selection_allowed,
                }),
                required_scopes: dwd.required_scopes,
            })
        }
        _ => Shown::StaticConfig(pb::StaticAuthConfig {
            static_config: Some(from_json(stored.static_config.clone())),
        }),
    }
}

fn oauth(connection: &Connection, redirect_uri: String) -> pb::OAuthConnectionConfig {
    let stored = &connection.settings;
    // The installation's app is nothing of the environment's.
    let own = !stored.platform_app;
    let extensions = pb::OauthExtensions {
        smart: stored.smart.as_ref().map(|smart| pb::SmartConfig {
            aud: smart.aud.clone(),
            domain: smart.domain.clone(),
        }),
        extra_authorize_params: stored.extra_authorize_params.clone().into_iter().collect(),
    };
    pb::OAuthConnectionConfig {
        authorize_uri: text(stored.authorize_uri.as_ref()),
        token_uri: text(stored.token_uri.as_ref()),
        user_info_uri: text(stored.user_info_uri.as_ref()),
        client_id: text(own.then_some(stored.client_id.as_ref()).flatten()),
        client_secret: own
            .then(|| masked(&connection.secrets.client_secret))
            .flatten(),
        scopes: stored.scopes.clone(),
        redirect_uri,
        pkce_enabled: stored.pkce_enabled.map(|value| BoolValue { value }),
        prompt: text(stored.prompt.as_ref()),
        use_platform_creds: Some(BoolValue {
            value: stored.platform_app,
        }),
        access_type: text(stored.access_type.as_ref()),
        custom_scope_name: text(stored.custom_scope_name.as_ref()),
        sync_user_profile_on_login: None,
        token_access_type: text(stored.token_access_type.as_ref()),
        tenant_id: text(stored.tenant_id.as_ref()),
        is_cimd: None,
        app_name: text(stored.app_name.as_ref()),
        optional_scopes: stored
            .optional_scopes
            .as_ref()
            .map(|optional| pb::OptionalScopes {
                scopes: optional.scopes.clone(),
                field_name: optional.field_name.clone(),
            }),
        extensions: (extensions != pb::OauthExtensions::default()).then_some(extensions),
        token_endpoint_auth_method: text(stored.token_endpoint_auth_method.as_ref()),
        googleads_developer_token: masked(&connection.secrets.developer_token),
        scope_selection_allowed: Some(BoolValue {
            value: stored.scope_selection_allowed,
        }),
        required_scopes: stored.required_scopes.clone(),
        required_optional_scopes: stored.required_optional_scopes.clone(),
    }
}

fn text(value: Option<&String>) -> Option<StringValue> {
    value.map(|value| StringValue {
        value: value.clone(),
    })
}

fn masked(secret: &str) -> Option<StringValue> {
    (!secret.is_empty()).then(|| StringValue {
        value: MASK.to_owned(),
    })
}

/// What an update request asks for, over the current settings.
///
/// A wrapper or message that is present replaces, an empty text clears, what is absent is kept. An
/// empty list is kept too, because over gRPC it looks like one that was left out and clients send
/// single settings; JSON can clear a list by writing it down. A masked secret is kept.
///
/// # Errors
/// [`Error::Invalid`] for what does not fit the connection.
pub(crate) fn update(
    message: pb::UpdateConnection,
    current: &Connection,
    explicit: Option<&ExplicitFields>,
) -> Result<ConnectionPatch, Error> {
    if message.r#type != 0 && message.r#type != kind_number(current.kind) {
        return Err(Error::field(
            "connection.type",
            "cannot be changed; create another connection",
        ));
    }
    let key = &message.provider_key;
    if !key.is_empty() && !key.eq_ignore_ascii_case(&current.provider_key) {
        return Err(Error::field(
            "connection.provider_key",
            "cannot be changed; create another connection",
        ));
    }
    let mut patch = ConnectionPatch {
        key_id: message.key_id,
        ..ConnectionPatch::default()
    };
    let Some(sent) = message.settings else {
        return Ok(patch);
    };
    let mut settings = current.settings.clone();
    let mut secrets = SecretsPatch::default();
    match sent {
        Sent::OauthConfig(sent) if is_oauth(current.kind) => {
            change_oauth(
                &mut settings,
                &mut secrets,
                sent,
                Written {
                    explicit,
                    message: "oauth_config",
                },
            );
        }
        Sent::GoogleDwdConfig(sent) if current.kind == AuthKind::GoogleDwd => {
            let written = Written {
                explicit,
                message: "google_dwd_config",
            };
            secrets.service_account_json = secret(sent.service_account_json);
            let dwd = settings
                .google_dwd
                .get_or_insert_with(GoogleDwdSettings::default);
            written.list(&mut dwd.scopes, sent.scopes, "scopes");
            written.list(
                &mut dwd.required_scopes,
                sent.required_scopes,
                "required_scopes",
            );
            put(&mut dwd.token_uri, sent.token_uri);
            if let Some(allowed) = sent.scope_selection_allowed {
                dwd.scope_selection_allowed = allowed.value;
            }
        }
        // The request policy goes with every kind (AK-112).
        Sent::StaticConfig(sent) => {
            if let Some(config) = sent.static_config {
                settings.static_config = to_json(config);
            }
        }
        _ => {
            let text = format!(
                "these settings are not those of a connection of type {}",
                current.kind.as_str()
            );
            return Err(Error::field("connection.settings", &text));
        }
    }
    patch.settings = Some(settings);
    patch.secrets = secrets;
    Ok(patch)
}

/// Which fields of a settings message JSON wrote down.
#[derive(Clone, Copy)]
struct Written<'a> {
    explicit: Option<&'a ExplicitFields>,
    message: &'static str,
}

impl Written<'_> {
    fn list(self, stored: &mut Vec<String>, sent: Vec<String>, name: &str) {
        let path = format!("connection.{}.{name}", self.message);
        if !sent.is_empty() || self.explicit.is_some_and(|fields| fields.names(&path)) {
            *stored = sent;
        }
    }
}

fn change_oauth(
    settings: &mut ConnectionSettings,
    secrets: &mut SecretsPatch,
    sent: pb::OAuthConnectionConfig,
    written: Written<'_>,
) {
    if let Some(wanted) = sent.use_platform_creds {
        settings.platform_app = wanted.value;
    }
    secrets.client_secret = secret(sent.client_secret);
    secrets.developer_token = secret(sent.googleads_developer_token);
    for (stored, sent) in [
        (&mut settings.authorize_uri, sent.authorize_uri),
        (&mut settings.token_uri, sent.token_uri),
        (&mut settings.user_info_uri, sent.user_info_uri),
        (&mut settings.client_id, sent.client_id),
        (&mut settings.prompt, sent.prompt),
        (&mut settings.access_type, sent.access_type),
        (&mut settings.custom_scope_name, sent.custom_scope_name),
        (&mut settings.token_access_type, sent.token_access_type),
        (&mut settings.tenant_id, sent.tenant_id),
        (&mut settings.app_name, sent.app_name),
        (
            &mut settings.token_endpoint_auth_method,
            sent.token_endpoint_auth_method,
        ),
    ] {
        put(stored, sent);
    }
    if let Some(enabled) = sent.pkce_enabled {
        settings.pkce_enabled = Some(enabled.value);
    }
    if let Some(allowed) = sent.scope_selection_allowed {
        settings.scope_selection_allowed = allowed.value;
    }
    written.list(&mut settings.scopes, sent.scopes, "scopes");
    written.list(
        &mut settings.required_scopes,
        sent.required_scopes,
        "required_scopes",
    );
    written.list(
        &mut settings.required_optional_scopes,
        sent.required_optional_scopes,
        "required_optional_scopes",
    );
    if let Some(optional) = sent.optional_scopes {
        let optional = OptionalScopes {
            scopes: optional.scopes,
            field_name: optional.field_name,
        };
        settings.optional_scopes = (optional != OptionalScopes::default()).then_some(optional);
    }
    if let Some(extensions) = sent.extensions {
        let only_smart = extensions.smart.is_some() && extensions.extra_authorize_params.is_empty();
        if !only_smart {
            settings.extra_authorize_params =
                extensions.extra_authorize_params.into_iter().collect();
        }
        if let Some(smart) = extensions.smart {
            settings.smart = Some(SmartSettings {
                aud: smart.aud,
                domain: smart.domain,
            });
        }
    }
}

/// Absent keeps, empty clears.
fn put(stored: &mut Option<String>, sent: Option<StringValue>) {
    if let Some(sent) = sent {
        *stored = Some(sent.value).filter(|value| !value.is_empty());
    }
}

/// A new secret; empty text takes the stored one away, and the mask means the stored one.
fn secret(sent: Option<StringValue>) -> Option<Secret<String>> {
    sent.map(|sent| sent.value)
        .filter(|value| value != MASK)
        .map(Secret::new)
}

#[cfg(test)]
mod tests;
