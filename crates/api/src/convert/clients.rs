use super::time;
use keystead_identity::clients::{
    Client, ClientSecret, ClientSettings, ClientType, CreateClient, Error, IpAllowlist,
    IssuedSecret, SecretStatus, UpdateClient,
};
use keystead_proto::v1::clients as pb;
use keystead_types::FieldViolation;

/// What a create request asks for.
pub(crate) fn create(message: pb::CreateClient) -> Result<CreateClient, Error> {
    let kind = ClientType::parse(&message.client_type)
        .ok_or_else(|| invalid("client.client_type", "must be WEB_APP, SPA or NTV"))?;
    Ok(CreateClient {
        name: message.name,
        kind,
        access_token_expiry: seconds(message.access_token_expiry),
        disallow_api_access: message
            .disallow_scalekit_api_access
            .is_some_and(|flag| flag.value),
        settings: ClientSettings {
            scopes: message.scopes,
            custom_claims: claims(message.custom_claims),
            grant_types: message.grant_types,
            post_login_uris: message.post_login_uris,
            post_logout_redirect_uris: message.post_logout_redirect_uris,
            back_channel_logout_uris: message.back_channel_logout_uris,
            initiate_login_uri: message.initiate_login_uri.unwrap_or_default(),
            enforce_pkce: message.enforce_pkce.is_some_and(|flag| flag.value),
            ip_allowlist: message
                .ip_allowlist
                .map(allowlist)
                .transpose()?
                .unwrap_or_default(),
        },
    })
}

/// What an update request asks for, ready to be applied. Without a mask the present fields change;
/// with one, exactly the fields it names (LG-284).
pub(crate) fn update(
    message: pb::UpdateClient,
    mask: Option<&[String]>,
) -> Result<impl FnOnce(UpdateClient) -> UpdateClient + Send + use<>, Error> {
    const FIELDS: [&str; 12] = [
        "name",
        "access_token_expiry",
        "disallow_scalekit_api_access",
        "scopes",
        "custom_claims",
        "grant_types",
        "post_login_uris",
        "post_logout_redirect_uris",
        "back_channel_logout_uris",
        "initiate_login_uri",
        "enforce_pkce",
        "ip_allowlist",
    ];
    let bare = |path: &str| path.strip_prefix("client.").unwrap_or(path).to_owned();
    let mask: Option<Vec<String>> = mask.map(|mask| mask.iter().map(|path| bare(path)).collect());
    let unknown = mask
        .iter()
        .flatten()
        .find(|path| !FIELDS.contains(&path.as_str()));
    if let Some(path) = unknown {
        return Err(invalid(
            "mask",
            &format!("names the unknown field {path:?}"),
        ));
    }
    let list = message.ip_allowlist.map(allowlist).transpose()?;
    let custom_claims = claims(message.custom_claims);

    Ok(move |mut client: UpdateClient| {
        let wanted = |field: &str, present: bool| {
            mask.as_ref()
                .map_or(present, |mask| mask.iter().any(|path| path == field))
        };
        let settings = &mut client.settings;
        let replace = |field: &str, old: &mut Vec<String>, new: Vec<String>| {
            if wanted(field, !new.is_empty()) {
                *old = new;
            }
        };
        replace("scopes", &mut settings.scopes, message.scopes);
        replace(
            "grant_types",
            &mut settings.grant_types,
            message.grant_types,
        );
        replace(
            "post_login_uris",
            &mut settings.post_login_uris,
            message.post_login_uris,
        );
        replace(
            "post_logout_redirect_uris",
            &mut settings.post_logout_redirect_uris,
            message.post_logout_redirect_uris,
        );
        replace(
            "back_channel_logout_uris",
            &mut settings.back_channel_logout_uris,
            message.back_channel_logout_uris,
        );
        if wanted("custom_claims", !custom_claims.is_empty()) {
            settings.custom_claims = custom_claims;
        }
        if wanted("initiate_login_uri", message.initiate_login_uri.is_some()) {
            settings.initiate_login_uri = message.initiate_login_uri.unwrap_or_default();
        }
        if wanted("enforce_pkce", message.enforce_pkce.is_some()) {
            settings.enforce_pkce = message.enforce_pkce.is_some_and(|flag| flag.value);
        }
        if wanted("ip_allowlist", list.is_some()) {
            settings.ip_allowlist = list.unwrap_or_default();
        }
        // A client always has a name.
        if wanted("name", true) && !message.name.is_empty() {
            client.name = message.name;
        }
        if wanted("access_token_expiry", message.access_token_expiry != 0) {
            client.access_token_expiry = seconds(message.access_token_expiry);
        }
        if wanted(
            "disallow_scalekit_api_access",
            message.disallow_scalekit_api_access.is_some(),
        ) {
            client.disallow_api_access = message
                .disallow_scalekit_api_access
                .is_some_and(|flag| flag.value);
        }
        client
    })
}

fn invalid(field: &str, description: &str) -> Error {
    let [field, description, constraint] = [field, description, "client"].map(str::to_owned);
    Error::Invalid(FieldViolation {
        field,
        description,
        constraint,
    })
}

fn seconds(expiry: i64) -> Option<i64> {
    (expiry != 0).then_some(expiry)
}

fn claims(claims: Vec<pb::CustomClaim>) -> Vec<(String, String)> {
    claims
        .into_iter()
        .map(|claim| (claim.key, claim.value))
        .collect()
}

fn allowlist(message: pb::IpAllowlist) -> Result<IpAllowlist, Error> {
    let network = |entry: pb::CidrEntry| {
        let value = entry.value.trim();
        // A single address is a network of one.
        let parsed = value
            .parse()
            .or_else(|_| value.parse::<std::net::IpAddr>().map(Into::into));
        parsed.map_err(|_| {
            invalid(
                "client.ip_allowlist",
                "must hold networks such as 203.0.113.0/24",
            )
        })
    };
    let cidrs = message
        .cidrs
        .into_iter()
        .map(network)
        .collect::<Result<_, _>>()?;
    Ok(IpAllowlist {
        opted_in: message.opted_in,
        cidrs,
    })
}

/// The kinds a list is limited to; unknown words are refused.
pub(crate) fn kinds(words: &[String]) -> Result<Vec<ClientType>, Error> {
    let parse = |word: &String| {
        ClientType::parse(word)
            .ok_or_else(|| invalid("filter.client_type", "must be ENV, WEB_APP, SPA or NTV"))
    };
    words.iter().map(parse).collect()
}

/// A client on the wire. `key_id` is the key that signs its tokens (MC-317).
pub(crate) fn client(client: Client, key_id: &str) -> pb::Client {
    let settings = client.settings;
    let claims = settings.custom_claims.into_iter();
    let cidrs = settings.ip_allowlist.cidrs.iter();
    pb::Client {
        id: client.row.id.to_string(),
        key_id: key_id.to_owned(),
        create_time: time(client.row.created_at),
        update_time: time(client.row.updated_at),
        secrets: client.secrets.into_iter().map(secret).collect(),
        post_logout_redirect_uris: settings.post_logout_redirect_uris,
        back_channel_logout_uris: settings.back_channel_logout_uris,
        initiate_login_uri: settings.initiate_login_uri,
        post_login_uris: settings.post_login_uris,
        name: client.row.name,
        access_token_expiry: client.row.access_token_expiry,
        scopes: settings.scopes,
        custom_claims: claims
            .map(|(key, value)| pb::CustomClaim { key, value })
            .collect(),
        disallow_scalekit_api_access: client.row.disallow_api_access,
        grant_types: settings.grant_types,
        client_type: client.row.kind.as_str().to_owned(),
        enforce_pkce: settings.enforce_pkce,
        ip_allowlist: Some(pb::IpAllowlist {
            opted_in: settings.ip_allowlist.opted_in,
            cidrs: cidrs
                .map(|cidr| pb::CidrEntry {
                    value: cidr.to_string(),
                    r#type: if cidr.addr().is_ipv4() {
                        pb::CidrType::Ipv4
                    } else {
                        pb::CidrType::Ipv6
                    } as i32,
                })
                .collect(),
        }),
    }
}

/// A secret on the wire, without its text.
pub(crate) fn secret(secret: ClientSecret) -> pb::ClientSecret {
    pb::ClientSecret {
        id: secret.id.to_string(),
        create_time: time(secret.created_at),
        update_time: time(secret.updated_at),
        secret_suffix: secret.suffix,
        created_by: secret.created_by,
        status: match secret.status {
            SecretStatus::Active => pb::ClientSecretStatus::Active,
            SecretStatus::Inactive => pb::ClientSecretStatus::Inactive,
        } as i32,
        expire_time: secret.expires_at.and_then(time),
        last_used_time: secret.last_used_at.and_then(time),
        plain_secret: None,
    }
}

/// A new secret with its text: the only answer that holds it (LG-282).
pub(crate) fn issued(issued: IssuedSecret) -> pb::CreateClientSecretResponse {
    pb::CreateClientSecretResponse {
        plain_secret: issued.plain.expose().clone(),
        secret: Some(secret(issued.secret)),
    }
}

/// The status a secret is to get.
pub(crate) fn status(code: i32) -> Result<SecretStatus, Error> {
    match pb::ClientSecretStatus::try_from(code) {
        Ok(pb::ClientSecretStatus::Active) => Ok(SecretStatus::Active),
        Ok(pb::ClientSecretStatus::Inactive) => Ok(SecretStatus::Inactive),
        Err(_) => Err(invalid("secret.status", "must be ACTIVE or INACTIVE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old() -> UpdateClient {
        UpdateClient {
            name: "old".to_owned(),
            access_token_expiry: Some(600),
            disallow_api_access: true,
            settings: ClientSettings {
                scopes: vec!["a".to_owned()],
                ..ClientSettings::default()
            },
        }
    }

    /// LG-284
    #[test]
    fn absent_fields_stay_and_a_mask_clears() {
        let message = pb::UpdateClient {
            name: "new".to_owned(),
            ..pb::UpdateClient::default()
        };
        let new = update(message.clone(), None).unwrap()(old());
        assert_eq!(
            (
                new.name.as_str(),
                new.settings.scopes.len(),
                new.access_token_expiry
            ),
            ("new", 1, Some(600))
        );
        assert!(new.disallow_api_access);

        let mask = ["scopes".to_owned(), "access_token_expiry".to_owned()];
        let new = update(message, Some(&mask)).unwrap()(old());
        assert_eq!(
            (
                new.name.as_str(),
                new.settings.scopes.len(),
                new.access_token_expiry
            ),
            ("old", 0, None)
        );
        assert!(update(pb::UpdateClient::default(), Some(&["id".to_owned()])).is_err());
    }

    /// MC-272
    #[test]
    fn networks_and_single_addresses_are_read() {
        let entry = |value: &str| pb::CidrEntry {
            value: value.to_owned(),
            r#type: 0,
        };
        let list = |values: &[&str]| {
            allowlist(pb::IpAllowlist {
                opted_in: true,
                cidrs: values.iter().map(|value| entry(value)).collect(),
            })
        };
        let cidrs = list(&["10.0.0.0/8", "2001:db8::1"]).unwrap().cidrs;
        assert_eq!(cidrs[1].to_string(), "2001:db8::1/128");
        assert!(list(&["10.0.0.0/33"]).is_err());
    }
}
