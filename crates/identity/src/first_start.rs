use crate::{
    Actor, Context,
    clients::{self, IssuedSecret},
    environments::{self, AuthenticationMode, CreateEnvironment, Environment, EnvironmentKind},
    members::{self, Member, NewMember, Role},
    workspaces::Workspace,
};
use keystead_store::entities::{Region, installation, workspaces as rows};
use keystead_types::{ClientId, Internal, WorkspaceId};

/// What the first start of an empty installation creates (DB-001, DB-002).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FirstStart {
    /// Name of the workspace.
    pub workspace_name: String,
    /// Address of the first dashboard member, who may do everything. Nobody gets a password: the
    /// member signs in with a code sent to this address.
    pub admin_email: String,
    /// Given name of that member, maybe empty.
    pub admin_first_name: String,
    /// Family name of that member, maybe empty.
    pub admin_last_name: String,
    /// The environment served at the base URL itself.
    pub default_environment: EnvironmentKind,
}

/// What was created. The secrets exist only here.
#[derive(Debug)]
pub struct Created {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The first member.
    pub member: Member,
    /// The environment served at the base URL itself.
    pub environment: Environment,
    /// The API client of that environment.
    pub client: ClientId,
    /// Its secret.
    pub secret: IssuedSecret,
}

/// Why an installation could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data was written under another root key.
    #[error(
        "the root key does not fit the data: this database was written under another root key; \
         start with that key, or restore the backup that belongs to this one"
    )]
    RootKeyMismatch,
    /// The address of the first member is not one.
    #[error("the administrator's address is not an e-mail address")]
    AdminEmail,
    /// Something broke on our side.
    #[error(transparent)]
    Internal(#[from] Internal),
}

/// Checks that the root key fits the data; in an empty database, creates everything once.
///
/// `None` means that the installation existed. Several nodes may call it at the same time: one of
/// them creates, the others wait for it.
///
/// # Errors
/// [`StartError`].
pub async fn start(ctx: &Context, seed: FirstStart) -> Result<Option<Created>, StartError> {
    let existing = installation::find(&mut ctx.db.read_admin())
        .await
        .map_err(Internal::new)?;
    match existing {
        Some(row) if ctx.keys.fits(&row.root_key_fingerprint) => Ok(None),
        Some(_) => Err(StartError::RootKeyMismatch),
        None => create(ctx, seed).await,
    }
}

async fn create(ctx: &Context, seed: FirstStart) -> Result<Option<Created>, StartError> {
    members::email_key(&seed.admin_email).map_err(|_| StartError::AdminEmail)?;
    let now = ctx.clock.now();
    let actor = Actor::system();
    let mut tx = ctx.db.begin_admin().await.map_err(Internal::new)?;

    let region = Region::Us;
    let workspace = Workspace {
        id: ctx.ids.next(&*ctx.clock),
        display_name: seed.workspace_name,
        region,
        context: "{}".to_owned(),
        created_at: now,
        updated_at: now,
    };
    rows::insert(&mut tx, &workspace)
        .await
        .map_err(Internal::new)?;

    let mut chosen = None;
    for (display_name, kind) in [
        ("Development", EnvironmentKind::Development),
        ("Production", EnvironmentKind::Production),
    ] {
        let command = CreateEnvironment {
            display_name: display_name.to_owned(),
            kind,
            region: Some(region),
            authentication_mode: AuthenticationMode::FullStack,
        };
        let environment = environments::insert(&mut tx, ctx, workspace.id, region, command)
            .await
            .map_err(Internal::new)?;
        let env_tx = tx.in_environment(environment.id);
        let client = clients::insert_environment_client(env_tx, ctx, &actor).await?;
        if kind == seed.default_environment {
            let secret = clients::issue(env_tx, ctx, &actor, client.row.id)
                .await
                .map_err(Internal::new)?;
            chosen = Some((environment, client.row.id, secret));
        }
    }
    let (environment, client, secret) =
        chosen.ok_or_else(|| Internal::new("no environment was created"))?;

    let new = NewMember {
        email: seed.admin_email,
        first_name: seed.admin_first_name,
        last_name: seed.admin_last_name,
        role: Role::Admin,
    };
    let member = members::insert(&mut tx, ctx, workspace.id, new)
        .await
        .map_err(Internal::new)?;

    // The one row of this table decides which of several starting nodes was first.
    let fingerprint = ctx.keys.fingerprint();
    let first = installation::insert(&mut tx, &fingerprint, environment.id, now)
        .await
        .map_err(Internal::new)?;
    if !first {
        drop(tx);
        let row = installation::find(&mut ctx.db.read_admin())
            .await
            .map_err(Internal::new)?;
        let fits = row.is_some_and(|row| ctx.keys.fits(&row.root_key_fingerprint));
        return if fits {
            Ok(None)
        } else {
            Err(StartError::RootKeyMismatch)
        };
    }
    tx.commit().await.map_err(Internal::new)?;
    Ok(Some(Created {
        workspace: workspace.id,
        member,
        environment,
        client,
        secret,
    }))
}
