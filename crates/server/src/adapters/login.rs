//! Dashboard sign-in: `web`'s needs met by `authz`.

use keystead_authz::{Authorizer, LoginError as AuthLoginError};
use keystead_identity::workspaces;
use keystead_net::mail::Mailer;
use keystead_types::{Internal, Secret};
use keystead_web::dashboard::{DashboardLogin, LoginError, SignedIn};
use std::sync::Arc;

/// Signs members in with codes by mail.
pub(crate) struct MemberLogin {
    pub(crate) authorizer: Authorizer,
    pub(crate) mailer: Arc<dyn Mailer>,
}

#[tonic::async_trait]
impl DashboardLogin for MemberLogin {
    async fn start(&self, email: &str) -> Result<Secret<String>, LoginError> {
        let started = self.authorizer.start_login(&self.mailer, email).await;
        Ok(started.map_err(refused)?.attempt)
    }

    async fn finish(
        &self,
        attempt: &Secret<String>,
        code: &str,
    ) -> Result<Secret<String>, LoginError> {
        let signed_in = self.authorizer.finish_login(attempt, code).await;
        Ok(signed_in.map_err(refused)?.session)
    }

    async fn member(&self, session: &Secret<String>) -> Result<Option<SignedIn>, Internal> {
        let Some(member) = self.authorizer.session_member(session).await? else {
            return Ok(None);
        };
        let workspace = workspaces::get(self.authorizer.context(), member.workspace)
            .await
            .map_err(Internal::new)?;
        Ok(Some(SignedIn {
            email: member.email,
            workspace: workspace.display_name,
        }))
    }

    async fn sign_out(&self, session: &Secret<String>) -> Result<(), Internal> {
        self.authorizer.sign_out(session).await
    }
}

fn refused(error: AuthLoginError) -> LoginError {
    match error {
        AuthLoginError::InvalidEmail | AuthLoginError::InvalidCode => LoginError::WrongCode,
        AuthLoginError::Internal(cause) => LoginError::Internal(cause),
    }
}
