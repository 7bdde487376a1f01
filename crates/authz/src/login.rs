use crate::{
    Authorizer,
    sessions::{SESSION_LIFETIME, SESSION_PURPOSE},
};
use keystead_crypto::{TokenHash, random_code, random_token};
use keystead_identity::members::{Member, email_key};
use keystead_net::mail::{Mail, Mailer};
use keystead_store::entities::{
    login_codes::{self, NewLoginCode},
    members,
    sessions::{self, MemberSession},
};
use keystead_types::{ErrorCode, Internal, Reason, Secret, Timestamp};
use std::{sync::Arc, time::Duration};

const CODE_DIGITS: usize = 6;
const CODE_LIFETIME: Duration = Duration::from_secs(10 * 60);
const MAX_TRIES: i64 = 5;
/// Codes one address may ask for within [`REQUEST_WINDOW`]; more are silently not sent.
const MAX_REQUESTS: i64 = 5;
const REQUEST_WINDOW: Duration = Duration::from_secs(15 * 60);

const ATTEMPT_PURPOSE: &str = "login attempt";
const CODE_PURPOSE: &str = "login code";

/// A sign-in that waits for its code.
#[derive(Debug)]
pub struct StartedLogin {
    /// Binds the code to this browser: keep it in a cookie.
    pub attempt: Secret<String>,
    /// From when on the code is dead.
    pub expires_at: Timestamp,
}

/// A member who signed in.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub member: Member,
    /// Token for the session cookie.
    pub session: Secret<String>,
    /// From when on the session is dead.
    pub expires_at: Timestamp,
}

/// Why a sign-in failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The text is not an e-mail address.
    #[error("email must be an e-mail address")]
    InvalidEmail,
    /// The code is wrong, expired, used or was tried too often. The visitor is not told which.
    #[error("the code is not valid; check it or ask for another one")]
    InvalidCode,
    /// Something broke on our side.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl Reason for LoginError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidEmail => ErrorCode::InvalidArgument,
            Self::InvalidCode => ErrorCode::Unauthenticated,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }
}

impl Authorizer {
    /// Begins a sign-in to the dashboard: sends a code when the address is a member's.
    ///
    // SECURITY: an unknown address, and one that asked too often, get the same answer from the same
    // work; the mail itself is sent beside the request, so that its time tells nothing.
    ///
    /// # Errors
    /// [`LoginError::InvalidEmail`].
    pub async fn start_login(
        &self,
        mailer: &Arc<dyn Mailer>,
        email: &str,
    ) -> Result<StartedLogin, LoginError> {
        let email_key = email_key(email).map_err(|_| LoginError::InvalidEmail)?;
        let ctx = &self.ctx;
        let now = ctx.clock.now();
        let attempt = random_token(&*ctx.rng, "kla_", 32);
        let code = random_code(&*ctx.rng, CODE_DIGITS);
        let attempt_hash = ctx.keys.hasher.hash(ATTEMPT_PURPOSE, attempt.expose());
        let code_hash = self.code_hash(&attempt, code.expose());
        let expires_at = now.plus(CODE_LIFETIME);

        let mut tx = ctx.db.begin_admin().await.map_err(Internal::new)?;
        let since = now.minus(REQUEST_WINDOW);
        let recent = login_codes::count_recent(&mut tx, &email_key, since)
            .await
            .map_err(Internal::new)?;
        let member = members::find_by_email(&mut tx, &email_key)
            .await
            .map_err(Internal::new)?;
        let new = NewLoginCode {
            attempt_hash: attempt_hash.as_bytes(),
            email_key: &email_key,
            code_hash: code_hash.as_bytes(),
            created_at: now,
            expires_at,
        };
        login_codes::insert(&mut tx, &new)
            .await
            .map_err(Internal::new)?;
        tx.commit().await.map_err(Internal::new)?;

        if let Some(member) = member.filter(|_| recent < MAX_REQUESTS) {
            send(mailer, &member, &code);
        }
        Ok(StartedLogin {
            attempt,
            expires_at,
        })
    }

    /// Finishes a sign-in with the code from the mail.
    ///
    /// # Errors
    /// [`LoginError::InvalidCode`].
    pub async fn finish_login(
        &self,
        attempt: &Secret<String>,
        code: &str,
    ) -> Result<SignedIn, LoginError> {
        let ctx = &self.ctx;
        let now = ctx.clock.now();
        let attempt_hash = *ctx
            .keys
            .hasher
            .hash(ATTEMPT_PURPOSE, attempt.expose())
            .as_bytes();
        let mut tx = ctx.db.begin_admin().await.map_err(Internal::new)?;
        let tried = login_codes::try_code(&mut tx, &attempt_hash, now, MAX_TRIES)
            .await
            .map_err(Internal::new)?;
        let Some(tried) = tried else {
            return Err(LoginError::InvalidCode);
        };

        let wanted = TokenHash::from_bytes(&tried.code_hash);
        let right = wanted == Some(self.code_hash(attempt, code.trim()));
        let member = members::find_by_email(&mut tx, &tried.email_key)
            .await
            .map_err(Internal::new)?;
        let Some(member) = member.filter(|_| right) else {
            // The try counts although it failed.
            tx.commit().await.map_err(Internal::new)?;
            return Err(LoginError::InvalidCode);
        };
        if !login_codes::use_up(&mut tx, &attempt_hash, now)
            .await
            .map_err(Internal::new)?
        {
            return Err(LoginError::InvalidCode);
        }
        let token = random_token(&*ctx.rng, "kss_", 32);
        let hash = ctx.keys.hasher.hash(SESSION_PURPOSE, token.expose());
        let expires_at = now.plus(SESSION_LIFETIME);
        let session = MemberSession {
            id: ctx.ids.next(&*ctx.clock),
            member: member.id,
            created_at: now,
            last_seen_at: now,
            expires_at,
        };
        sessions::insert_member_session(&mut tx, hash.as_bytes(), &session)
            .await
            .map_err(Internal::new)?;
        members::signed_in(&mut tx, member.id, now)
            .await
            .map_err(Internal::new)?;
        tx.commit().await.map_err(Internal::new)?;
        Ok(SignedIn {
            member,
            session: token,
            expires_at,
        })
    }

    /// A code is hashed together with its attempt, so that equal codes have different hashes.
    fn code_hash(&self, attempt: &Secret<String>, code: &str) -> TokenHash {
        let bound = Secret::new(format!("{}:{code}", attempt.expose()));
        self.ctx.keys.hasher.hash(CODE_PURPOSE, bound.expose())
    }
}

fn send(mailer: &Arc<dyn Mailer>, member: &Member, code: &Secret<String>) {
    let mail = Mail {
        to: member.email.clone(),
        subject: "Your sign-in code".to_owned(),
        text: format!(
            "Your code to sign in to the dashboard: {}\n\nIt is valid for 10 minutes and works once. \
             If you did not ask for it, ignore this message: nobody can sign in without the code.\n",
            code.expose()
        ),
        html: None,
    };
    let mailer = Arc::clone(mailer);
    tokio::spawn(async move {
        if let Err(error) = mailer.send(mail).await {
            tracing::warn!(%error, "the sign-in code could not be mailed");
        }
    });
}
