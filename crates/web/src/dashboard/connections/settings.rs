//! The settings of a connection: what its kind of sign-in needs (AK-105, AK-110, AK-125).

use super::{detail, find, name};
use crate::{
    csrf::Posted,
    dashboard::{
        desk::Desk,
        rpc::from_form,
        trouble::{Answer, Trouble},
    },
    form_data::FormData,
    render::html,
    view::{Choice, Field, Form, Kind},
};
use axum::extract::Path;
use http::StatusCode;
use keystead_proto::{
    extensions::ListPlatformCredentialsRequest,
    v1::connections::{
        Connection, ConnectionType, GoogleDwdConfig, OAuthConnectionConfig, OauthExtensions,
        UpdateConnection, UpdateEnvironmentConnectionRequest, connection::Settings,
        update_connection,
    },
    wrappers::{BoolValue, StringValue},
};

/// The lists that the forms show: emptied there, they are emptied.
pub(super) const LISTS: &[&str] = &[
    "connection.oauth_config.scopes",
    "connection.oauth_config.required_scopes",
    "connection.google_dwd_config.scopes",
];

pub(super) async fn save(
    desk: Desk,
    Path((_, id)): Path<(String, String)>,
    Posted(sent): Posted,
) -> Answer {
    let connection = find(&desk, &id).await?;
    let update = UpdateConnection {
        provider: connection.provider,
        r#type: connection.r#type,
        provider_key: connection.provider_key.clone(),
        key_id: sent.has("key_id").then(|| sent.text("key_id").to_owned()),
        settings: settings(&connection, &sent),
        ..Default::default()
    };
    let request = UpdateEnvironmentConnectionRequest {
        connection_id: id.clone(),
        connection: Some(update),
    };
    let request = from_form(request, LISTS);
    match desk
        .rpc
        .connections()
        .update_environment_connection(request)
        .await
    {
        Ok(_) => Ok(desk.done(&format!("/connections/{id}"), "saved")),
        Err(status) => {
            let mut form = form(&desk, &connection, Some(&sent)).await?;
            Trouble::from(status).blame(&mut form)?;
            Ok(html(
                StatusCode::UNPROCESSABLE_ENTITY,
                &detail::page(&desk, &connection, form).await?,
            ))
        }
    }
}

fn kind(connection: &Connection) -> ConnectionType {
    ConnectionType::try_from(connection.r#type).unwrap_or_default()
}

/// Whether the connection has an OAuth client.
pub(super) fn uses_oauth(connection: &Connection) -> bool {
    matches!(
        kind(connection),
        ConnectionType::Oauth | ConnectionType::SmartFhir | ConnectionType::TrelloOauth1
    )
}

/// The OAuth settings as stored; secrets are masked by the server.
pub(super) fn oauth(connection: &Connection) -> OAuthConnectionConfig {
    match &connection.settings {
        Some(Settings::OauthConfig(config)) => config.clone(),
        _ => OAuthConnectionConfig::default(),
    }
}

fn settings(connection: &Connection, sent: &FormData) -> Option<update_connection::Settings> {
    if uses_oauth(connection) {
        return Some(update_connection::Settings::OauthConfig(oauth_settings(
            &oauth(connection),
            sent,
        )));
    }
    (kind(connection) == ConnectionType::GoogleDwd).then(|| {
        update_connection::Settings::GoogleDwdConfig(GoogleDwdConfig {
            service_account_json: secret(sent, "service_account_json"),
            scopes: sent.lines("scopes"),
            ..Default::default()
        })
    })
}

/// What the form does not show stays as it is; a secret left empty is not sent and so is kept.
fn oauth_settings(before: &OAuthConnectionConfig, sent: &FormData) -> OAuthConnectionConfig {
    let extra = sent.all("extra_authorize_params").join("\n");
    let extra = extra.lines().filter_map(|line| line.split_once('='));
    let mut config = OAuthConnectionConfig {
        use_platform_creds: Some(BoolValue {
            value: sent.has("use_platform_creds"),
        }),
        client_id: Some(text(sent, "client_id")),
        client_secret: secret(sent, "client_secret"),
        scopes: sent.lines("scopes"),
        authorize_uri: Some(text(sent, "authorize_uri")),
        token_uri: Some(text(sent, "token_uri")),
        user_info_uri: Some(text(sent, "user_info_uri")),
        pkce_enabled: Some(BoolValue {
            value: sent.has("pkce_enabled"),
        }),
        prompt: Some(text(sent, "prompt")),
        access_type: Some(text(sent, "access_type")),
        tenant_id: Some(text(sent, "tenant_id")),
        token_endpoint_auth_method: Some(text(sent, "token_endpoint_auth_method")),
        scope_selection_allowed: Some(BoolValue {
            value: sent.has("scope_selection_allowed"),
        }),
        required_scopes: sent.lines("required_scopes"),
        ..before.clone()
    };
    // The server sends it masked: sending the mask back would store the mask.
    config.googleads_developer_token = None;
    let smart = before
        .extensions
        .as_ref()
        .and_then(|extensions| extensions.smart.clone());
    let extra_authorize_params = extra
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    config.extensions = Some(OauthExtensions {
        smart,
        extra_authorize_params,
    });
    config
}

/// An empty text is sent too: it takes the stored one away.
fn text(sent: &FormData, name: &str) -> StringValue {
    StringValue {
        value: sent.text(name).to_owned(),
    }
}

fn secret(sent: &FormData, name: &str) -> Option<StringValue> {
    let value = sent.secret(name);
    (!value.is_empty()).then(|| StringValue {
        value: value.to_owned(),
    })
}

/// Text of an optional value.
pub(super) fn shown(value: Option<&StringValue>) -> &str {
    value.map_or("", |value| &value.value)
}

/// Whether the installation has an OAuth app that the connection could use or uses (AK-107).
async fn is_app_offered(desk: &Desk, connection: &Connection) -> Result<bool, Trouble> {
    if kind(connection) != ConnectionType::Oauth {
        return Ok(false);
    }
    let mut client = desk.rpc.connection_extensions();
    let answer = client.list_platform_credentials(ListPlatformCredentialsRequest {});
    let keys = answer.await?.into_inner().provider_keys;
    Ok(keys.contains(&connection.provider_key) || uses_platform_app(&oauth(connection)))
}

pub(super) fn uses_platform_app(config: &OAuthConnectionConfig) -> bool {
    config.use_platform_creds.is_some_and(|value| value.value)
}

/// The form; with what was `sent` when it comes back with errors.
pub(super) async fn form(
    desk: &Desk,
    connection: &Connection,
    sent: Option<&FormData>,
) -> Result<Form, Trouble> {
    let app = is_app_offered(desk, connection).await?;
    Ok(fields(desk, connection, sent, app))
}

fn fields(desk: &Desk, connection: &Connection, sent: Option<&FormData>, app: bool) -> Form {
    let mut form = desk.form(&format!("/connections/{}", connection.id), "Save");
    let was = |field: &str, stored: &str| {
        sent.map_or_else(|| stored.to_owned(), |sent| sent.text(field).to_owned())
    };
    let name = Field::new("key_id", "Name", Kind::Mono)
        .required()
        .max(300)
        .hint("Your code uses this name. When you change it, change your code too.")
        .value(was("key_id", &name(connection)));
    if uses_oauth(connection) {
        let config = oauth(connection);
        if app {
            let stored = uses_platform_app(&config);
            let on = sent.map_or(stored, |sent| sent.has("use_platform_creds"));
            form = form.field(
                Field::new("use_platform_creds", "Use the app of this installation", Kind::Check)
                    .value(if on { "on" } else { "" })
                    .hint("Its operator registered one at the service: you need no client ID and secret of your own, and those stored here are dropped."),
            );
        }
        return oauth_form(form, name, &config, sent);
    }
    if let (ConnectionType::GoogleDwd, settings) = (kind(connection), &connection.settings) {
        let (scopes, stored) = match settings {
            Some(Settings::GoogleDwdConfig(config)) => (
                config.scopes.join("\n"),
                config.service_account_json.is_some(),
            ),
            _ => (String::new(), false),
        };
        form = form
            .field(
                Field::new(
                    "service_account_json",
                    "Service account key",
                    Kind::SecretLines,
                )
                .stored(stored)
                .hint("The JSON file from the Google Cloud console."),
            )
            .field(
                Field::new("scopes", "Permissions", Kind::Lines)
                    .hint("One scope on each line.")
                    .value(was("scopes", &scopes)),
            );
    }
    form.field(name)
}

fn oauth_form(
    mut form: Form,
    name: Field,
    config: &OAuthConnectionConfig,
    sent: Option<&FormData>,
) -> Form {
    let was = |field: &str, stored: &str| {
        sent.map_or_else(|| stored.to_owned(), |sent| sent.text(field).to_owned())
    };
    let on = |field: &str, stored: bool| {
        if sent.map_or(stored, |sent| sent.has(field)) {
            "on"
        } else {
            ""
        }
    };
    let line = |field: &str, label: &str, stored: Option<&StringValue>, hint: &str| {
        Field::new(field, label, Kind::Mono)
            .hint(hint)
            .value(was(field, shown(stored)))
    };
    let lines = |field: &str, label: &str, stored: &[String], hint: &str| {
        Field::new(field, label, Kind::Lines)
            .hint(hint)
            .value(was(field, &stored.join("\n")))
    };
    form = form
        .field(line("client_id", "Client ID", config.client_id.as_ref(), "From the app you registered at the service."))
        .field(
            Field::new("client_secret", "Client secret", Kind::Secret)
                .stored(!shown(config.client_secret.as_ref()).is_empty())
                .hint("Stored encrypted and never shown again."),
        )
        .field(lines("scopes", "Permissions", &config.scopes, "One scope on each line. Accounts that are connected already keep theirs until their users authorize again."));
    let choice = on(
        "scope_selection_allowed",
        config
            .scope_selection_allowed
            .is_some_and(|value| value.value),
    );
    form = form
        .field(Field::new("scope_selection_allowed", "Users may choose permissions", Kind::Check).value(choice))
        .field(lines("required_scopes", "Permissions that users cannot leave out", &config.required_scopes, "Matters only when users may choose."))
        .field(name)
        .more("Provider settings", "Filled in for the services of the catalogue. Change them only when the service's documentation says so.")
        .field(line("authorize_uri", "Authorization URL", config.authorize_uri.as_ref(), ""))
        .field(line("token_uri", "Token URL", config.token_uri.as_ref(), ""))
        .field(line("user_info_uri", "User info URL", config.user_info_uri.as_ref(), ""));
    let method = was(
        "token_endpoint_auth_method",
        shown(config.token_endpoint_auth_method.as_ref()),
    );
    let methods = vec![
        Choice::new("", "As the service expects", "", &method),
        Choice::new(
            "client_secret_post",
            "In the form (client_secret_post)",
            "",
            &method,
        ),
        Choice::new(
            "client_secret_basic",
            "In the header (client_secret_basic)",
            "",
            &method,
        ),
        Choice::new("none", "Not at all (public client)", "", &method),
    ];
    let extra = config.extensions.as_ref().map(|extensions| {
        let mut lines: Vec<String> = extensions
            .extra_authorize_params
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        lines.sort_unstable();
        lines.join("\n")
    });
    form.field(Field::new(
        "token_endpoint_auth_method",
        "How the client secret is sent",
        Kind::Select(methods),
    ))
    .field(
        Field::new("pkce_enabled", "Use PKCE", Kind::Check).value(on(
            "pkce_enabled",
            config.pkce_enabled.is_none_or(|value| value.value),
        )),
    )
    .field(line(
        "prompt",
        "Prompt",
        config.prompt.as_ref(),
        "Such as consent, to make the service ask every time.",
    ))
    .field(line(
        "access_type",
        "Access type",
        config.access_type.as_ref(),
        "Google: offline, to get refresh tokens.",
    ))
    .field(line(
        "tenant_id",
        "Tenant",
        config.tenant_id.as_ref(),
        "Microsoft: the directory to sign in to.",
    ))
    .field(
        Field::new(
            "extra_authorize_params",
            "More parameters for the authorization URL",
            Kind::Lines,
        )
        .hint("One name=value on each line.")
        .value(sent.map_or_else(
            || extra.unwrap_or_default(),
            |sent| sent.text("extra_authorize_params").to_owned(),
        )),
    )
}

#[cfg(test)]
mod tests {
    use super::oauth_settings;
    use crate::form_data::FormData;
    use keystead_proto::{v1::connections::OAuthConnectionConfig, wrappers::StringValue};

    #[test]
    fn a_masked_secret_is_never_sent_back() {
        let mask = || {
            Some(StringValue {
                value: "****".to_owned(),
            })
        };
        let before = OAuthConnectionConfig {
            client_secret: mask(),
            googleads_developer_token: mask(),
            app_name: Some(StringValue {
                value: "kept".to_owned(),
            }),
            ..Default::default()
        };
        let config = oauth_settings(
            &before,
            &FormData::parse(b"client_id=c&client_secret=&extra_authorize_params=a%3Db%0D%0Ac"),
        );
        assert_eq!(config.client_secret, None);
        assert_eq!(config.googleads_developer_token, None);
        assert_eq!(config.app_name, before.app_name);
        let extra = config.extensions.unwrap().extra_authorize_params;
        assert_eq!(
            extra.into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), "b".to_owned())]
        );
    }
}
