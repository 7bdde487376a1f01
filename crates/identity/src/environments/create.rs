use super::{AuthenticationMode, Environment, EnvironmentKind, Error};
use crate::{Actor, Context, clients, environments::change::record, keys::create_data_key};
use keystead_crypto::random_token;
use keystead_store::{
    admin,
    entities::{Region, environments as rows, workspaces},
};
use keystead_types::{Internal, WorkspaceId};

/// A new environment, as asked for (DB-022).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateEnvironment {
    /// Name shown to people; 1 to 200 characters, checked by the contract.
    pub display_name: String,
    /// How strict it is.
    pub kind: EnvironmentKind,
    /// Region; the workspace's own when absent.
    pub region: Option<Region>,
    /// Which parts of signing in it does itself.
    pub authentication_mode: AuthenticationMode,
}

/// Adds an environment with its own keys and its API client (DB-020, LG-281). The client has no
/// secret yet.
///
/// # Errors
/// [`Error::NotFound`] when the workspace does not exist.
pub async fn create(
    ctx: &Context,
    workspace: WorkspaceId,
    actor: &Actor,
    command: CreateEnvironment,
) -> Result<Environment, Error> {
    let mut tx = ctx.db.begin_admin().await?;
    let owner = workspaces::find(&mut tx, workspace)
        .await?
        .ok_or(Error::NotFound)?;
    let region = command.region.unwrap_or(owner.region);
    let environment = insert(&mut tx, ctx, workspace, region, command).await?;
    let env_tx = tx.in_environment(environment.id);
    clients::insert_environment_client(env_tx, ctx, actor).await?;
    record(env_tx, ctx, actor, "environment.created", &environment).await?;
    tx.commit().await?;
    ctx.environments.forget(environment.id).await;
    Ok(environment)
}

/// Adds the rows of an environment and of its first data key.
pub(crate) async fn insert(
    tx: &mut admin::Tx,
    ctx: &Context,
    workspace: WorkspaceId,
    region: Region,
    command: CreateEnvironment,
) -> Result<Environment, Error> {
    let now = ctx.clock.now();
    let environment = Environment {
        id: ctx.ids.next(&*ctx.clock),
        workspace,
        domain: new_domain(ctx, &command.display_name),
        display_name: command.display_name,
        kind: command.kind,
        region,
        authentication_mode: command.authentication_mode,
        created_at: now,
        updated_at: now,
    };
    rows::insert(tx, &environment).await?;
    create_data_key(tx.in_environment(environment.id), ctx, environment.id)
        .await
        .map_err(|error: Internal| Error::from(error))?;
    Ok(environment)
}

/// A host below the installation's own: readable, and unique without asking the database.
fn new_domain(ctx: &Context, display_name: &str) -> String {
    let host = ctx.installation.base_url.host();
    format!("{}-{}.{host}", label(display_name), random_label(ctx))
}

/// Six characters that host names can hold.
fn random_label(ctx: &Context) -> String {
    let random = random_token(&*ctx.rng, "", 24);
    let legal = random
        .expose()
        .bytes()
        .filter(u8::is_ascii_alphanumeric)
        .take(6);
    legal
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect()
}

/// The part of a name that a host name can hold.
fn label(display_name: &str) -> String {
    let words = display_name.split(|character: char| !character.is_ascii_alphanumeric());
    let mut label = words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
        .to_ascii_lowercase();
    label.truncate(30);
    let label = label.trim_end_matches('-');
    if label.is_empty() {
        "env".to_owned()
    } else {
        label.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn a_name_becomes_a_host_label() {
        assert_eq!(label("Acme  Staging!"), "acme-staging");
        assert_eq!(label("日本"), "env");
        assert_eq!(label(&"ab ".repeat(30)), "ab-ab-ab-ab-ab-ab-ab-ab-ab-ab");
    }
}
