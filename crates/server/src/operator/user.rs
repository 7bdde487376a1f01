//! `keystead user`: members of a workspace, who use the dashboard.

use super::{actor, environment, first_page, with};
use crate::{
    cli::{ConfigArgs, MemberRole, NewUserArgs, ScopeArgs, UserCommand},
    tell,
};
use anyhow::{Result, bail};
use keystead_authz::{Authorizer, UnlockError};
use keystead_identity::{
    Context,
    members::{self, Member, NewMember, Role},
};
use keystead_types::WorkspaceId;

/// Runs the command.
pub(crate) async fn run(command: &UserCommand) -> Result<()> {
    match command {
        UserCommand::List(args) => list(args).await,
        UserCommand::Add(args) => add(args).await,
        UserCommand::Delete { scope, email } => delete(scope, email).await,
        UserCommand::Unlock { config, email } => unlock(config, email).await,
    }
}

async fn list(args: &ScopeArgs) -> Result<()> {
    with(&args.config, async |ctx| {
        let environment = environment(ctx, args.environment.as_deref()).await?;
        let mut page = first_page();
        loop {
            let listed = members::list(ctx, environment.workspace, &page).await?;
            for member in &listed.items {
                tell::line(line(member));
            }
            if listed.next_page_token.is_empty() {
                return Ok(());
            }
            page.token = listed.next_page_token;
        }
    })
    .await
}

fn line(member: &Member) -> String {
    let seen = match member.last_login_at {
        Some(at) => format!("signed in {at}"),
        None => "never signed in".to_owned(),
    };
    let role = member.role.as_str();
    format!("{} {role:<9} {} - {seen}", member.id, member.email)
}

async fn add(args: &NewUserArgs) -> Result<()> {
    let role = match args.role {
        MemberRole::Admin => Role::Admin,
        MemberRole::Developer => Role::Developer,
        MemberRole::Member => Role::Member,
    };
    with(&args.scope.config, async |ctx| {
        let environment = environment(ctx, args.scope.environment.as_deref()).await?;
        let new = NewMember {
            email: args.email.clone(),
            first_name: args.first_name.clone(),
            last_name: args.last_name.clone(),
            role,
        };
        let member = match members::add(ctx, environment.workspace, new).await {
            Err(members::Error::DuplicateEmail) => bail!(
                "{} is a member of the workspace already: `keystead user list` shows all of them",
                args.email
            ),
            Err(members::Error::InvalidEmail) => bail!(
                "nobody was added: {:?} is not an e-mail address, and sign-in codes are sent there",
                args.email
            ),
            added => added?,
        };
        tell::line(line(&member));
        tell::line(format!(
            "signs in at {}/dashboard with a code sent by e-mail",
            ctx.installation.base_url
        ));
        Ok(())
    })
    .await
}

async fn delete(args: &ScopeArgs, email: &str) -> Result<()> {
    with(&args.config, async |ctx| {
        let workspace = environment(ctx, args.environment.as_deref()).await?.workspace;
        let Some(member) = find(ctx, workspace, email).await? else {
            bail!(
                "nobody was deleted: {email:?} is no member's address, `keystead user list` shows all of them"
            );
        };
        match members::delete(ctx, &actor(), workspace, member.id).await {
            Err(members::Error::LastAdministrator) => bail!(
                "nobody was deleted: {} is the last administrator, so add another one first",
                member.email
            ),
            deleted => deleted?,
        }
        tell::line(format!("{} {} is deleted", member.id, member.email));
        Ok(())
    })
    .await
}

/// The member of a workspace with an address.
async fn find(ctx: &Context, workspace: WorkspaceId, email: &str) -> Result<Option<Member>> {
    let Ok(wanted) = members::email_key(email) else {
        return Ok(None);
    };
    let mut page = first_page();
    loop {
        let listed = members::list(ctx, workspace, &page).await?;
        let mut members = listed.items.into_iter();
        if let Some(found) = members.find(|member| member.email_key == wanted) {
            return Ok(Some(found));
        }
        if listed.next_page_token.is_empty() {
            return Ok(None);
        }
        page.token = listed.next_page_token;
    }
}

async fn unlock(config: &ConfigArgs, email: &str) -> Result<()> {
    with(config, async |ctx| {
        let authorizer = Authorizer::new(ctx.clone());
        match authorizer.unlock_sign_in(&actor(), email).await {
            Err(UnlockError::NoMember) => bail!(
                "nothing was changed: {email:?} is no member's address, `keystead user list` shows all of them"
            ),
            Err(other) => return Err(other.into()),
            Ok(member) => tell::line(format!("{} may ask for a new code and sign in", member.email)),
        }
        Ok(())
    })
    .await
}
