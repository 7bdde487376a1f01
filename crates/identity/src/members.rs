//! People who use the dashboard.

use crate::{Actor, Context, audit::record};
pub use keystead_store::entities::members::{Member, Role};
use keystead_store::{
    Execute, SortKey, StoreError,
    entities::{
        environments,
        members::{self as rows, UNIQUE_EMAIL},
    },
};
use keystead_types::{
    ErrorCode, FieldViolation, Id, Internal, MemberId, Page, PageRequest, Reason, WorkspaceId,
};
use serde_json::json;

/// Why a request about members failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such member in this workspace.
    #[error("member not found")]
    NotFound,
    /// The address is a member already.
    #[error("a member with this email already exists")]
    DuplicateEmail,
    /// The text is not an e-mail address.
    #[error("email must be an e-mail address")]
    InvalidEmail,
    /// Nobody else could administer the workspace (DB-041).
    #[error("the last administrator of a workspace cannot be deleted")]
    LastAdministrator,
    /// The page token was changed or belongs to another list.
    #[error("page_token does not belong to this list")]
    InvalidPageToken,
    /// Something broke on our side.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl Reason for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::NotFound,
            Self::DuplicateEmail => ErrorCode::AlreadyExists,
            Self::InvalidEmail => ErrorCode::InvalidArgument,
            Self::LastAdministrator => ErrorCode::FailedPrecondition,
            Self::InvalidPageToken => ErrorCode::InvalidPageToken,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }

    fn violations(&self) -> Vec<FieldViolation> {
        match self {
            Self::InvalidEmail => vec![FieldViolation {
                field: "email".to_owned(),
                description: "must be an e-mail address".to_owned(),
                constraint: "string.email".to_owned(),
            }],
            _ => Vec::new(),
        }
    }
}

impl From<StoreError> for Error {
    #[track_caller]
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::PageToken => Self::InvalidPageToken,
            error if error.is_unique_violation(UNIQUE_EMAIL) => Self::DuplicateEmail,
            error => Self::Internal(Internal::new(error)),
        }
    }
}

/// The form in which addresses are compared: without outer space, in lower case.
///
/// # Errors
/// [`Error::InvalidEmail`].
pub fn email_key(email: &str) -> Result<String, Error> {
    let key = email.trim().to_lowercase();
    let (local, domain) = key.rsplit_once('@').ok_or(Error::InvalidEmail)?;
    // Control characters would let an address write header lines of the mail sent to it.
    let legal =
        |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control());
    let plain = !key.chars().any(|c| "<>()[],;:\\\"".contains(c));
    if key.len() <= 320 && legal(local) && legal(domain) && plain && !local.contains('@') {
        Ok(key)
    } else {
        Err(Error::InvalidEmail)
    }
}

/// A new member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewMember {
    /// Address.
    pub email: String,
    /// Given name, maybe empty.
    pub first_name: String,
    /// Family name, maybe empty.
    pub last_name: String,
    /// What the member may do.
    pub role: Role,
}

/// Adds a member in a transaction that is already open.
pub(crate) async fn insert(
    tx: &mut impl Execute,
    ctx: &Context,
    workspace: WorkspaceId,
    new: NewMember,
) -> Result<Member, Error> {
    let now = ctx.clock.now();
    let member = Member {
        id: ctx.ids.next(&*ctx.clock),
        workspace,
        email_key: email_key(&new.email)?,
        email: new.email.trim().to_owned(),
        first_name: new.first_name,
        last_name: new.last_name,
        role: new.role,
        metadata: "{}".to_owned(),
        created_at: now,
        updated_at: now,
        last_login_at: None,
    };
    rows::insert(tx, &member).await?;
    Ok(member)
}

/// Adds a member (DB-040).
///
/// # Errors
/// [`Error::DuplicateEmail`], [`Error::InvalidEmail`].
pub async fn add(ctx: &Context, workspace: WorkspaceId, new: NewMember) -> Result<Member, Error> {
    let mut tx = ctx.db.begin_admin().await?;
    let member = insert(&mut tx, ctx, workspace, new).await?;
    tx.commit().await?;
    Ok(member)
}

/// Gets a member of a workspace.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(ctx: &Context, workspace: WorkspaceId, id: MemberId) -> Result<Member, Error> {
    let found = rows::find(&mut ctx.db.read_admin(), id).await?;
    found
        .filter(|member| member.workspace == workspace)
        .ok_or(Error::NotFound)
}

/// Lists the members of a workspace, oldest first (DB-043).
///
/// # Errors
/// [`Error::InvalidPageToken`].
pub async fn list(
    ctx: &Context,
    workspace: WorkspaceId,
    page: &PageRequest,
) -> Result<Page<Member>, Error> {
    let owner = workspace.to_string();
    let window = ctx.workspace_window(page, "members", owner.as_bytes())?;
    let mut reader = ctx.db.read_admin();
    let items = rows::list(&mut reader, workspace, &window).await?;
    let total_size = rows::count(&mut reader, workspace).await?;
    let page = window.finish(items, total_size, |member| {
        (
            SortKey::Int(member.created_at.as_micros()),
            member.id.number(),
        )
    });
    // The contract's answer has no way back.
    Ok(Page {
        prev_page_token: String::new(),
        ..page
    })
}

/// Changes names and metadata of a member (DB-043).
///
/// # Errors
/// [`Error::NotFound`].
pub async fn update(
    ctx: &Context,
    workspace: WorkspaceId,
    id: MemberId,
    apply: impl FnOnce(&mut Member) + Send,
) -> Result<Member, Error> {
    let mut tx = ctx.db.begin_admin().await?;
    let found = rows::lock(&mut tx, id).await?;
    let mut member = found
        .filter(|member| member.workspace == workspace)
        .ok_or(Error::NotFound)?;
    apply(&mut member);
    member.updated_at = ctx.clock.now();
    rows::update(&mut tx, &member).await?;
    tx.commit().await?;
    Ok(member)
}

/// Deletes a member, whose sessions end at once (DB-040). The audit log of every environment of the
/// workspace has a record.
///
/// # Errors
/// [`Error::NotFound`], [`Error::LastAdministrator`].
pub async fn delete(
    ctx: &Context,
    actor: &Actor,
    workspace: WorkspaceId,
    id: MemberId,
) -> Result<(), Error> {
    let mut tx = ctx.db.begin_admin().await?;
    let found = rows::find(&mut tx, id).await?;
    found
        .filter(|member| member.workspace == workspace)
        .ok_or(Error::NotFound)?;
    if !rows::delete(&mut tx, workspace, id).await? {
        // Somebody else may have been faster.
        return Err(match rows::find(&mut tx, id).await? {
            Some(_) => Error::LastAdministrator,
            None => Error::NotFound,
        });
    }
    let target = id.to_string();
    for env in environments::of_workspace(&mut tx, workspace).await? {
        let tx = tx.in_environment(env);
        record(tx, ctx, actor, "member.deleted", &target, json!({})).await?;
    }
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::email_key;

    #[test]
    fn addresses_are_compared_without_case_and_junk_is_refused() {
        assert_eq!(email_key(" Ada@Acme.Test ").unwrap(), "ada@acme.test");
        for junk in [
            "",
            "ada",
            "@acme.test",
            "ada@",
            "a b@c.d",
            "a@b@c.d",
            "a@b.c\r\nBcc: x@y.z",
            "<a@b.c>",
        ] {
            assert!(email_key(junk).is_err(), "{junk:?}");
        }
    }
}
