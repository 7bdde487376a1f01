use crate::{
    Authorizer, Visitor, device,
    login_limits::{Subject, Try, note_refusal},
    sessions::{SESSION_LIFETIME, SESSION_PURPOSE},
    sign_in_audit::{self, SignInRecord, in_person},
};
use keystead_crypto::{TokenHash, random_code, random_token};
use keystead_events::Outcome;
use keystead_identity::members::{Member, email_key};
use keystead_net::mail::{Mail, Mailer};
use keystead_store::entities::{
    login_codes::{self, NewLoginCode},
    members,
    sessions::{self, MemberSession},
};
use keystead_types::{ErrorCode, Internal, Reason, Secret, Timestamp};
use std::{sync::Arc, time::Duration};

const CODE_DIGITS: usize = 8;
const CODE_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// Tries of one attempt; those of all attempts of an address are limited besides.
const MAX_TRIES: i64 = 5;

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
    /// For a cookie that lives for [`DEVICE_LIFETIME`](crate::DEVICE_LIFETIME): shown at the next
    /// sign-in, it keeps strangers from using up the member's tries.
    pub device: Secret<String>,
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
    /// Too many codes were tried for the address, with whatever attempts. Members and strangers
    /// are told alike; holds how long to wait.
    #[error("too many codes were tried; try again in {} s", .0.as_secs().max(1))]
    TooManyTries(Duration),
    /// Something broke on our side.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl Reason for LoginError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidEmail => ErrorCode::InvalidArgument,
            Self::InvalidCode => ErrorCode::Unauthenticated,
            Self::TooManyTries(_) => ErrorCode::RateLimited,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyTries(wait) => Some(*wait),
            _ => None,
        }
    }
}

impl Authorizer {
    /// Begins a sign-in to the dashboard: sends a code when the address is a member's.
    ///
    // SECURITY: an unknown address, and one that asked too often, get the same answer from the same
    // work; the mail itself is sent beside the request, so that its time tells nothing. No code
    // finishes an attempt for which no mail is sent: it would only be there to be guessed.
    ///
    /// # Errors
    /// [`LoginError::InvalidEmail`].
    pub async fn start_login(
        &self,
        mailer: &Arc<dyn Mailer>,
        email: &str,
        visitor: impl Into<Visitor>,
    ) -> Result<StartedLogin, LoginError> {
        let email_key = email_key(email).map_err(|_| LoginError::InvalidEmail)?;
        let ctx = &self.ctx;
        let now = ctx.clock.now();
        let attempt = random_token(&*ctx.rng, "kla_", 32);
        let code = random_code(&*ctx.rng, CODE_DIGITS);
        let attempt_hash = ctx.keys.hasher.hash(ATTEMPT_PURPOSE, attempt.expose());
        let expires_at = now.plus(CODE_LIFETIME);

        let mut tx = ctx.db.begin_admin().await.map_err(Internal::new)?;
        let may_mail = Subject::new(&email_key, &visitor.into(), &ctx.keys.hasher, now)
            .request(&mut tx, now)
            .await?;
        let member = members::find_by_email(&mut tx, &email_key)
            .await
            .map_err(Internal::new)?
            .filter(|_| may_mail);
        let nothing = random_token(&*ctx.rng, "", 32);
        let secret = if member.is_some() { &code } else { &nothing };
        let code_hash = self.code_hash(&attempt, secret.expose());
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

        if let Some(member) = member {
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
    /// [`LoginError::InvalidCode`], [`LoginError::TooManyTries`].
    pub async fn finish_login(
        &self,
        attempt: &Secret<String>,
        code: &str,
        visitor: impl Into<Visitor>,
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
        let hasher = &ctx.keys.hasher;
        let subject = Subject::new(&tried.email_key, &visitor.into(), hasher, now);
        let is_last = match subject.try_code(&mut tx, now).await? {
            Try::Allowed { is_last } => is_last,
            Try::Refused(until) => return Err(LoginError::TooManyTries(until.since(now))),
        };

        let wanted = TokenHash::from_bytes(&tried.code_hash);
        let right = wanted == Some(self.code_hash(attempt, code.trim()));
        let member = members::find_by_email(&mut tx, &tried.email_key)
            .await
            .map_err(Internal::new)?;
        let member = match member {
            Some(member) if right => member,
            member => {
                if let Some(member) = member.filter(|_| is_last) {
                    note_refusal(&mut tx, ctx, &member).await?;
                }
                // The try counts although it failed.
                tx.commit().await.map_err(Internal::new)?;
                return Err(LoginError::InvalidCode);
            }
        };
        if !login_codes::use_up(&mut tx, &attempt_hash, now)
            .await
            .map_err(Internal::new)?
        {
            return Err(LoginError::InvalidCode);
        }
        subject.was_right(&mut tx).await?;
        let token = random_token(&*ctx.rng, "kss_", 32);
        let hash = ctx.keys.hasher.hash(SESSION_PURPOSE, token.expose());
        let device = device::issue(hasher, &*ctx.rng, &tried.email_key, now);
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
        let new = SignInRecord {
            actor: &in_person(&member),
            action: "member.signed_in",
            outcome: Outcome::Success,
            detail: serde_json::json!({"session_id": session.id.to_string()}),
        };
        sign_in_audit::record(&mut tx, ctx, &member, new).await?;
        tx.commit().await.map_err(Internal::new)?;
        Ok(SignedIn {
            member,
            session: token,
            device,
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
