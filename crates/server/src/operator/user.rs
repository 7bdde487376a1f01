//! `keystead user`: members of a workspace, who use the dashboard.

use super::{environment, first_page, with};
use crate::{
    cli::{MemberRole, NewUserArgs, ScopeArgs, UserCommand},
    tell,
};
use anyhow::{Result, bail};
use keystead_identity::members::{self, Member, NewMember, Role};

/// Runs the command.
pub(crate) async fn run(command: &UserCommand) -> Result<()> {
    match command {
        UserCommand::List(args) => list(args).await,
        UserCommand::Add(args) => add(args).await,
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
