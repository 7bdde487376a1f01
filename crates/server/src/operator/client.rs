//! `keystead client`: API clients and their secrets.

use super::{actor, environment, first_page, with};
use crate::{
    cli::{ClientCommand, ClientKind, ScopeArgs},
    tell,
};
use anyhow::{Result, bail};
use keystead_identity::{
    Context,
    clients::{self, Client, ClientSettings, ClientType, CreateClient, IssuedSecret, SecretStatus},
};
use keystead_types::{ClientId, EnvironmentId};

/// Longest name, as in the contract.
const MAX_NAME: usize = 128;

/// Runs the command.
pub(crate) async fn run(command: &ClientCommand) -> Result<()> {
    match command {
        ClientCommand::List(args) => list(args).await,
        ClientCommand::Create { scope, name, kind } => create(scope, name, *kind).await,
        ClientCommand::Rotate {
            scope,
            client,
            drop_older,
        } => rotate(scope, client.as_deref(), *drop_older).await,
    }
}

async fn list(args: &ScopeArgs) -> Result<()> {
    with(&args.config, async |ctx| {
        let env = environment(ctx, args.environment.as_deref()).await?.id;
        let mut page = first_page();
        loop {
            let listed = clients::list(ctx, env, &page, &[]).await?;
            for client in &listed.items {
                tell::line(line(client));
            }
            if listed.next_page_token.is_empty() {
                return Ok(());
            }
            page.token = listed.next_page_token;
        }
    })
    .await
}

fn line(client: &Client) -> String {
    let row = &client.row;
    let secrets: Vec<String> = client
        .secrets
        .iter()
        .map(|secret| match secret.status {
            SecretStatus::Active => format!("…{}", secret.suffix),
            SecretStatus::Inactive => format!("…{} (off)", secret.suffix),
        })
        .collect();
    let secrets = match secrets.as_slice() {
        [] => "no secret".to_owned(),
        some => format!("secrets {}", some.join(", ")),
    };
    let kind = row.kind.as_str();
    format!("{} {kind:<7} {} - {secrets}", row.id, row.name)
}

async fn create(args: &ScopeArgs, name: &str, kind: ClientKind) -> Result<()> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME {
        bail!("the client was not made: --name must have 1 to {MAX_NAME} characters");
    }
    let (kind, is_public) = match kind {
        ClientKind::WebApp => (ClientType::WebApp, false),
        ClientKind::Spa => (ClientType::Spa, true),
        ClientKind::Native => (ClientType::Native, true),
    };
    with(&args.config, async |ctx| {
        let env = environment(ctx, args.environment.as_deref()).await?.id;
        let command = CreateClient {
            name: name.to_owned(),
            kind,
            access_token_expiry: None,
            disallow_api_access: false,
            settings: ClientSettings::default(),
        };
        let client = clients::create(ctx, env, &actor(), command).await?.row.id;
        tell::line(format!("client {client}"));
        if !is_public {
            show(&clients::create_secret(ctx, env, &actor(), client).await?);
        }
        Ok(())
    })
    .await
}

/// The only moment the secret exists in the clear.
fn show(issued: &IssuedSecret) {
    tell::line(format!("secret {}", issued.plain.expose()));
    tell::line("store the secret now: it cannot be shown again");
}

async fn rotate(args: &ScopeArgs, client: Option<&str>, drop_older: bool) -> Result<()> {
    with(&args.config, async |ctx| {
        let env = environment(ctx, args.environment.as_deref()).await?.id;
        let former = find(ctx, env, client).await?;
        let id = former.row.id;
        if drop_older {
            make_room(ctx, env, &former).await?;
        }
        let issued = match clients::create_secret(ctx, env, &actor(), id).await {
            Err(clients::Error::SecretLimit) => bail!(
                "{id} has two active secrets already: delete the one that is not used in the dashboard, \
                 or use --drop-older to delete both"
            ),
            issued => issued?,
        };
        tell::line(format!("client {id}"));
        show(&issued);
        if drop_older {
            let current = clients::get(&mut ctx.db.read(env), id).await?;
            for older in &current.secrets {
                if older.id != issued.secret.id {
                    clients::delete_secret(ctx, env, &actor(), id, older.id).await?;
                }
            }
            tell::line("older secrets are refused within a minute");
        }
        Ok(())
    })
    .await
}

/// The client of an id; the environment's own when none is named.
async fn find(ctx: &Context, env: EnvironmentId, named: Option<&str>) -> Result<Client> {
    let id = match named {
        Some(text) => match text.parse::<ClientId>() {
            Ok(id) => id,
            Err(_) => bail!("{text} is not the id of a client: `keystead client list` shows them"),
        },
        None => clients::environment_client(ctx, env).await?,
    };
    match clients::get(&mut ctx.db.read(env), id).await {
        Err(clients::Error::NotFound) => {
            bail!("{env} has no client {id}: `keystead client list` shows them")
        }
        found => Ok(found?),
    }
}

/// Deletes all secrets but the latest: a client keeps one until the new one is there.
async fn make_room(ctx: &Context, env: EnvironmentId, client: &Client) -> Result<()> {
    let Some((_, older)) = client.secrets.split_last() else {
        return Ok(());
    };
    for secret in older {
        clients::delete_secret(ctx, env, &actor(), client.row.id, secret.id).await?;
    }
    Ok(())
}
