//! Sign-in with one member and one code.

use crate::services::SESSION;
use keystead_types::{Internal, Secret};
use keystead_web::dashboard::{DashboardLogin, LoginError, Session, SignedIn, Visitor};
use std::{sync::Mutex, time::Duration};

#[derive(Default)]
pub(crate) struct TestLogin {
    pub(crate) mails: Mutex<Vec<String>>,
    pub(crate) ended: Mutex<bool>,
    pub(crate) reads_only: Mutex<bool>,
    /// What browsers showed of earlier sign-ins.
    pub(crate) devices: Mutex<Vec<Option<Secret<String>>>>,
}

#[tonic::async_trait]
impl DashboardLogin for TestLogin {
    async fn start(&self, email: &str, visitor: &Visitor) -> Result<Secret<String>, LoginError> {
        self.devices.lock().unwrap().push(visitor.device.clone());
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
        visitor: &Visitor,
    ) -> Result<Session, LoginError> {
        self.devices.lock().unwrap().push(visitor.device.clone());
        if attempt.expose() == "kla_ada" && code == "123456" {
            return Ok(Session {
                token: Secret::new(SESSION.to_owned()),
                device: Secret::new("kdv_1".to_owned()),
            });
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
