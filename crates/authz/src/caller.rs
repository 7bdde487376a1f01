use crate::Permissions;
use keystead_identity::Actor;
use keystead_types::{
    AuthRequestId, ClientId, ClientSecretId, ConnectedAccountId, EnvironmentId, ErrorCode,
    MemberId, Reason, SessionId, WorkspaceId,
};

/// What kind of credential a caller showed. The numbers are the bits of the contract's
/// `authentication_type`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u32)]
pub enum CallerKind {
    /// No credential.
    Anonymous = 1,
    /// An API client of the environment.
    Client = 4,
    /// A dashboard member.
    Workspace = 64,
    /// A visitor of the account-connection pages.
    ActionsPortal = 128,
}

impl CallerKind {
    /// The bit in the contract's `authentication_type`.
    pub const fn bit(self) -> u32 {
        self as u32
    }
}

/// Who exactly is calling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// Nobody is known.
    Anonymous,
    /// An API client.
    Client {
        /// The client.
        id: ClientId,
        /// The secret its token was issued for.
        secret: ClientSecretId,
    },
    /// A dashboard member.
    Member {
        /// The member.
        id: MemberId,
        /// The session.
        session: SessionId,
    },
    /// A visitor of the account-connection pages.
    Account {
        /// The only account the visitor may touch.
        id: ConnectedAccountId,
        /// The session.
        session: SessionId,
        /// The link that was opened.
        link: Option<AuthRequestId>,
    },
}

/// A caller whose credential was checked. Only this crate makes one.
#[derive(Clone, Debug)]
pub struct Caller {
    environment: EnvironmentId,
    workspace: WorkspaceId,
    subject: Subject,
    permissions: Permissions,
    request_id: Option<String>,
}

/// The credential does not allow the call.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Denied {
    /// It lacks the permission.
    #[error("the credential lacks the permission {}", .0.join(" or "))]
    Permission(Vec<String>),
    /// It is of a kind that may not call this.
    #[error("this call cannot be made with this kind of credential")]
    Kind,
}

impl Reason for Denied {
    fn code(&self) -> ErrorCode {
        ErrorCode::PermissionDenied
    }
}

impl Caller {
    pub(crate) fn new(
        environment: EnvironmentId,
        workspace: WorkspaceId,
        subject: Subject,
        permissions: Permissions,
    ) -> Self {
        Self {
            environment,
            workspace,
            subject,
            permissions,
            request_id: None,
        }
    }

    /// The caller of a method that needs no credential.
    pub fn anonymous(environment: EnvironmentId, workspace: WorkspaceId) -> Self {
        Self::new(
            environment,
            workspace,
            Subject::Anonymous,
            Permissions::NONE,
        )
    }

    /// The same caller in a request that has an id, which the audit log keeps.
    #[must_use]
    pub fn with_request_id(self, request_id: impl Into<String>) -> Self {
        Self {
            request_id: Some(request_id.into()),
            ..self
        }
    }

    /// The tenant the call is limited to.
    pub const fn env(&self) -> EnvironmentId {
        self.environment
    }

    /// The workspace that owns the environment.
    pub const fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// Who is calling.
    pub const fn subject(&self) -> Subject {
        self.subject
    }

    /// What kind of credential was shown.
    pub const fn kind(&self) -> CallerKind {
        match self.subject {
            Subject::Anonymous => CallerKind::Anonymous,
            Subject::Client { .. } => CallerKind::Client,
            Subject::Member { .. } => CallerKind::Workspace,
            Subject::Account { .. } => CallerKind::ActionsPortal,
        }
    }

    /// What the caller may do.
    pub const fn permissions(&self) -> Permissions {
        self.permissions
    }

    /// Whether `authentication_type` (the bits of the contract) lets this kind of caller in.
    pub const fn is_accepted_by(&self, authentication_type: u32) -> bool {
        authentication_type & self.kind().bit() != 0
    }

    /// Demands at least one of `permissions`.
    ///
    /// # Errors
    /// [`Denied::Permission`].
    pub fn require(&self, permissions: &[&str]) -> Result<(), Denied> {
        if self.permissions.allows_any(permissions.iter().copied()) {
            Ok(())
        } else {
            Err(Denied::Permission(
                permissions.iter().map(|key| (*key).to_owned()).collect(),
            ))
        }
    }

    /// The dashboard member, for what only members may do.
    ///
    /// # Errors
    /// [`Denied::Kind`].
    pub const fn require_member(&self) -> Result<MemberId, Denied> {
        match self.subject {
            Subject::Member { id, .. } => Ok(id),
            _ => Err(Denied::Kind),
        }
    }

    /// The one account a portal visitor may touch; `None` for other callers, who are not limited.
    pub const fn only_account(&self) -> Option<ConnectedAccountId> {
        match self.subject {
            Subject::Account { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The link that a portal visitor opened.
    pub const fn only_link(&self) -> Option<AuthRequestId> {
        match self.subject {
            Subject::Account { link, .. } => link,
            _ => None,
        }
    }

    /// A stable name for logs, limits and the audit log. Not a secret.
    pub fn name(&self) -> String {
        match self.subject {
            Subject::Anonymous => "anonymous".to_owned(),
            Subject::Client { id, .. } => id.to_string(),
            Subject::Member { id, .. } => id.to_string(),
            Subject::Account { id, .. } => id.to_string(),
        }
    }

    /// The caller as the audit log names it.
    pub fn actor(&self) -> Actor {
        Actor {
            name: self.name(),
            request_id: self.request_id.clone(),
        }
    }
}
