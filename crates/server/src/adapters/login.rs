//! Dashboard sign-in: `web`'s needs met by `authz`.

use crate::config::Limits;
use keystead_authz::{Authorizer, LoginError as AuthLoginError};
use keystead_gateway::{FailureRates, Rates, visitor};
use keystead_identity::{members::Role, workspaces};
use keystead_net::mail::Mailer;
use keystead_types::{Internal, Secret};
use keystead_web::dashboard::{DashboardLogin, LoginError, Session, SignedIn, Visitor};
use std::{net::IpAddr, num::NonZeroU32, sync::Arc};

/// Signs members in with codes by mail.
pub(crate) struct MemberLogin {
    pub(crate) authorizer: Authorizer,
    pub(crate) mailer: Arc<dyn Mailer>,
    pub(crate) limits: LoginLimits,
}

/// What one visitor may do, whatever the e-mail addresses, per node. Those of one e-mail address are
/// limited by [`Authorizer`].
pub(crate) struct LoginLimits {
    codes: Rates<IpAddr>,
    codes_per_minute: Option<NonZeroU32>,
    wrong_codes: FailureRates<IpAddr>,
}

impl LoginLimits {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            codes: Rates::default(),
            codes_per_minute: NonZeroU32::new(limits.sign_in_codes_per_minute),
            wrong_codes: FailureRates::new(NonZeroU32::new(limits.wrong_codes_per_minute)),
        }
    }

    /// Counts a request for a code.
    fn request(&self, visitor: Option<IpAddr>) -> Result<(), LoginError> {
        let (Some(visitor), Some(per_minute)) = (visitor, self.codes_per_minute) else {
            return Ok(());
        };
        self.codes
            .count(visitor, per_minute)
            .map(drop)
            .map_err(|left| LoginError::TooManyRequests(left.wait))
    }

    fn may_try(&self, visitor: Option<IpAddr>) -> Result<(), LoginError> {
        visitor.map_or(Ok(()), |visitor| {
            self.wrong_codes
                .check(&visitor)
                .map_err(LoginError::TooManyRequests)
        })
    }

    fn was_wrong(&self, visitor: Option<IpAddr>) {
        if let Some(visitor) = visitor {
            self.wrong_codes.failed(visitor);
        }
    }
}

#[tonic::async_trait]
impl DashboardLogin for MemberLogin {
    async fn start(&self, email: &str, visitor: &Visitor) -> Result<Secret<String>, LoginError> {
        let visitor = known(visitor);
        self.limits.request(visitor.network)?;
        let started = self.authorizer.start_login(&self.mailer, email, visitor);
        Ok(started.await.map_err(refused)?.attempt)
    }

    async fn finish(
        &self,
        attempt: &Secret<String>,
        code: &str,
        visitor: &Visitor,
    ) -> Result<Session, LoginError> {
        let visitor = known(visitor);
        let network = visitor.network;
        self.limits.may_try(network)?;
        let signed_in = self.authorizer.finish_login(attempt, code, visitor).await;
        if let Err(AuthLoginError::InvalidCode | AuthLoginError::TooManyTries(_)) = signed_in {
            self.limits.was_wrong(network);
        }
        let signed_in = signed_in.map_err(refused)?;
        Ok(Session {
            token: signed_in.session,
            device: signed_in.device,
        })
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
            reads_only: matches!(member.role, Role::Member | Role::NoAccess),
        }))
    }

    async fn sign_out(&self, session: &Secret<String>) -> Result<(), Internal> {
        self.authorizer.sign_out(session).await
    }
}

fn known(seen: &Visitor) -> keystead_authz::Visitor {
    keystead_authz::Visitor {
        network: seen.address.map(visitor),
        device: seen.device.clone(),
    }
}

fn refused(error: AuthLoginError) -> LoginError {
    match error {
        AuthLoginError::InvalidEmail | AuthLoginError::InvalidCode => LoginError::WrongCode,
        AuthLoginError::TooManyTries(wait) => LoginError::TooManyRequests(wait),
        AuthLoginError::Internal(cause) => LoginError::Internal(cause),
    }
}
