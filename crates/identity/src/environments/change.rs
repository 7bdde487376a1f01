use super::{Environment, Error, get};
use crate::{Actor, Context};
use keystead_store::{Tx, entities::environments as rows};
use keystead_types::{EnvironmentId, FieldViolation, WorkspaceId};

/// Renames an environment (DB-022).
///
/// # Errors
/// [`Error::NotFound`].
pub async fn rename(
    ctx: &Context,
    workspace: WorkspaceId,
    id: EnvironmentId,
    actor: &Actor,
    display_name: Option<String>,
) -> Result<Environment, Error> {
    change(ctx, workspace, id, actor, |environment| {
        if let Some(display_name) = display_name {
            environment.display_name = display_name;
        }
    })
    .await
}

/// Serves an environment at another host (DB-023).
///
/// # Errors
/// [`Error::NotFound`], [`Error::DuplicateDomain`], [`Error::Invalid`].
pub async fn update_domain(
    ctx: &Context,
    workspace: WorkspaceId,
    id: EnvironmentId,
    actor: &Actor,
    domain: &str,
) -> Result<Environment, Error> {
    let domain = domain.to_ascii_lowercase();
    let old = get(ctx, workspace, id).await?;
    let is_ours = domain == ctx.installation.base_url.host();
    if domain != old.domain && (!is_host_name(&domain) || is_ours) {
        let description = "must be a host name such as auth.example.com".to_owned();
        let (field, constraint) = (
            "environment.domain".to_owned(),
            "string.hostname".to_owned(),
        );
        return Err(Error::Invalid(FieldViolation {
            field,
            description,
            constraint,
        }));
    }
    change(ctx, workspace, id, actor, |environment| {
        environment.domain = domain;
    })
    .await
}

/// A change that changes nothing is not stored.
async fn change(
    ctx: &Context,
    workspace: WorkspaceId,
    id: EnvironmentId,
    actor: &Actor,
    apply: impl FnOnce(&mut Environment),
) -> Result<Environment, Error> {
    let mut tx = ctx.db.begin_admin().await?;
    let found = rows::lock(&mut tx, id).await?;
    let old = found
        .filter(|environment| environment.workspace == workspace)
        .ok_or(Error::NotFound)?;
    let mut environment = old.clone();
    apply(&mut environment);
    if environment == old {
        return Ok(old);
    }
    environment.updated_at = ctx.clock.now();
    rows::update(&mut tx, &environment).await?;
    record(
        tx.in_environment(id),
        ctx,
        actor,
        "environment.updated",
        &environment,
    )
    .await?;
    tx.commit().await?;
    ctx.environments.forget(id).await;
    Ok(environment)
}

/// Deletes an environment: nobody finds it any more, its tokens and credentials are dead at once
/// and its host is free. Its rows are kept until they are purged.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Default`].
pub async fn delete(
    ctx: &Context,
    workspace: WorkspaceId,
    id: EnvironmentId,
    actor: &Actor,
) -> Result<(), Error> {
    let environment = get(ctx, workspace, id).await?;
    if ctx.default_environment().await? == Some(id) {
        return Err(Error::Default);
    }
    let mut tx = ctx.db.begin_admin().await?;
    if !rows::delete(&mut tx, id, ctx.clock.now()).await? {
        return Err(Error::NotFound);
    }
    record(
        tx.in_environment(id),
        ctx,
        actor,
        "environment.deleted",
        &environment,
    )
    .await?;
    tx.commit().await?;
    ctx.environments.forget(id).await;
    Ok(())
}

/// Letters, digits and hyphens in at least two labels.
fn is_host_name(domain: &str) -> bool {
    let legal = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.len() <= 250 && domain.contains('.') && domain.split('.').all(legal)
}

/// Writes the audit record of a change to an environment.
pub(super) async fn record(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
    action: &'static str,
    environment: &Environment,
) -> Result<(), Error> {
    let detail = serde_json::json!({
        "display_name": environment.display_name,
        "domain": environment.domain,
        "type": environment.kind.as_str(),
    });
    Ok(crate::audit::record(tx, ctx, actor, action, &environment.id.to_string(), detail).await?)
}

#[cfg(test)]
mod tests {
    use super::is_host_name;

    /// DB-023
    #[test]
    fn host_names_are_told_from_other_text() {
        for good in ["auth.acme.com", "a-b.localhost", "x1.y2.z3"] {
            assert!(is_host_name(good), "{good}");
        }
        for bad in [
            "",
            "acme",
            "-a.b",
            "a-.b",
            "a..b",
            "a b.c",
            "a/b.c",
            "a.b:1",
            &"a.".repeat(130),
        ] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }
}
