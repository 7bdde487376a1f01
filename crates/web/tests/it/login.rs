//! Sign-in with one member and one code.

use crate::services::SESSION;
use keystead_types::{Internal, Secret};
use keystead_web::dashboard::{DashboardLogin, LoginError, SignedIn};
use std::{net::IpAddr, sync::Mutex, time::Duration};

#[derive(Default)]
pub(crate) struct TestLogin {
    pub(crate) mails: Mutex<Vec<String>>,
    pub(crate) ended: Mutex<bool>,
    pub(crate) reads_only: Mutex<bool>,
}

#[tonic::async_trait]
impl DashboardLogin for TestLogin {
    async fn start(&self, email: &str, _: Option<IpAddr>) -> Result<Secret<String>, LoginError> {
        if email == "often@example.com" {
            return Err(LoginError::TooManyRequests(Duration::from_secs(61)));
        }
        self.mails.lock().unwrap().push(email.to_owned());
        let attempt = if email == "ada@example.com" {
            "kla_ada"
        } else {
            "kla_other"
        };
        Ok(Secret::new(attempt.to_owned()))
    }

    async fn finish(
        &self,
        attempt: &Secret<String>,
        code: &str,
        _: Option<IpAddr>,
    ) -> Result<Secret<String>, LoginError> {
        if attempt.expose() == "kla_ada" && code == "123456" {
            return Ok(Secret::new(SESSION.to_owned()));
        }
        Err(LoginError::WrongCode)
    }

    async fn member(&self, session: &Secret<String>) -> Result<Option<SignedIn>, Internal> {
        let live = session.expose() == SESSION && !*self.ended.lock().unwrap();
        Ok(live.then(|| SignedIn {
            email: "ada@example.com".to_owned(),
            workspace: "Acme".to_owned(),
            reads_only: *self.reads_only.lock().unwrap(),
        }))
    }

    async fn sign_out(&self, _: &Secret<String>) -> Result<(), Internal> {
        *self.ended.lock().unwrap() = true;
        Ok(())
    }
}
