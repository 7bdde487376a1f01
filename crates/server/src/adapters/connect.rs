//! The hosted pages' flows: `web`'s needs met by `agentkit` and `authz`.

use super::{ConnectLimits, connect_form};
use keystead_agentkit::{
    AgentKit, Error,
    accounts::Grounds,
    links::{CallbackEnd, CallbackError, FormEnd, OpenLink, ToChoose},
};
use keystead_authz::{AuthError, Authorizer, Caller, Credentials};
use keystead_identity::{Site, workspaces};
use keystead_store::StoreError;
use keystead_types::{ConnectionId, EnvironmentId, Internal, Secret};
use keystead_web::connect::{
    Answers, Browser, ConnectError, ConnectFlow, ConnectForm, Consent, Finished, Link, Opened,
    Place, PlaceQuestion, Submitted, ToVerify,
};
use std::sync::Arc;
use url::form_urlencoded::Serializer;

/// What the proof of the browser is hashed for.
const PROOF: &str = "member verification";

/// Connects accounts in the browser.
pub(crate) struct HostedConnect {
    pub(crate) agentkit: AgentKit,
    pub(crate) authorizer: Authorizer,
    pub(crate) limits: ConnectLimits,
}

#[tonic::async_trait]
impl ConnectFlow for HostedConnect {
    async fn open(&self, browser: &Browser, link: &Link) -> Result<Opened, ConnectError> {
        let site = self.site(browser).await?;
        let env = site.environment.id;
        let opened = self.link(env, browser, link).await?;
        let grounds = &opened.grounds;
        if grounds.connection.kind.is_redirect() && !grounds.asks_before_consent() {
            return Ok(Opened::Provider(self.consent(env, &opened).await?));
        }
        let form = self.form(&site, grounds).await?;
        let mut tx = self.agentkit.ctx().db.begin(env).await.map_err(store)?;
        let portal = self
            .authorizer
            .begin_portal_session(&mut tx, grounds.account.id, Some(opened.id()))
            .await?;
        tx.commit().await.map_err(store)?;
        Ok(Opened::Form { form, portal })
    }

    async fn submit(
        &self,
        browser: &Browser,
        link: &Link,
        answers: Answers,
    ) -> Result<Submitted, ConnectError> {
        let site = self.site(browser).await?;
        let env = site.environment.id;
        let opened = self.link(env, browser, link).await?;
        let account = opened.grounds.account.id;
        let credentials = Credentials {
            portal_cookie: browser.portal.clone(),
            ..Credentials::default()
        };
        let visitor = self.caller(&site, &credentials).await?;
        if visitor.only_account() != Some(account) {
            return Err(ConnectError::SessionExpired);
        }
        self.limits.form(env, account)?;
        let answers = connect_form::answers(&opened.grounds, &answers);
        let end = self.agentkit.submit_form(env, &opened, answers).await;
        match end.map_err(refused)? {
            FormEnd::Connected => {
                let mut tx = self.agentkit.ctx().db.begin(env).await.map_err(store)?;
                self.authorizer
                    .end_portal_sessions(&mut tx, account)
                    .await?;
                tx.commit().await.map_err(store)?;
                Ok(Submitted::Finished(Finished::Connected))
            }
            FormEnd::Provider(consent) => Ok(Submitted::Provider(Consent {
                url: consent.url,
                provider: opened.grounds.provider.display_name.clone(),
                connect: consent.browser,
                flow: consent.flow,
            })),
            FormEnd::Wrong(violations) => Ok(Submitted::Wrong {
                form: self.form(&site, &opened.grounds).await?,
                violations,
            }),
        }
    }

    async fn callback(
        &self,
        browser: &Browser,
        connection: ConnectionId,
        parameters: &[(String, String)],
    ) -> Result<Finished, ConnectError> {
        let env = self.site(browser).await?.environment.id;
        let query = Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let cookie = browser.connect.as_ref();
        let end = self
            .agentkit
            .finish_consent(env, connection, cookie, &query)
            .await;
        match end {
            Ok(end) => self.finished(end, cookie),
            Err(error) => Err(self.failed(env, connection, error).await),
        }
    }

    async fn verify_member(
        &self,
        browser: &Browser,
        request: &str,
    ) -> Result<Finished, ConnectError> {
        let (site, member, request) = self.member_request(browser, request).await?;
        let env = site.environment.id;
        self.agentkit
            .verify_member(env, &member.actor(), &request)
            .await
            .map_err(refused)?;
        Ok(Finished::Connected)
    }

    async fn to_verify(&self, browser: &Browser, request: &str) -> Result<ToVerify, ConnectError> {
        let (site, _, request) = self.member_request(browser, request).await?;
        let env = site.environment.id;
        let grounds = self.agentkit.account_to_verify(env, &request).await;
        let grounds = grounds.map_err(refused)?;
        let user = (!grounds.account.is_org_wide).then(|| grounds.account.identifier.clone());
        Ok(ToVerify {
            service: grounds.provider.display_name.clone(),
            connection: grounds.connection.key_id.clone(),
            user,
        })
    }

    async fn to_choose(
        &self,
        browser: &Browser,
        request: &str,
    ) -> Result<PlaceQuestion, ConnectError> {
        let site = self.site(browser).await?;
        let request = Secret::new(request.to_owned());
        let cookie = browser.connect.as_ref();
        let asked = self
            .agentkit
            .place_to_choose(site.environment.id, cookie, &request)
            .await;
        let ToChoose { grounds, question } = asked.map_err(unnamed)?;
        let form = self.form(&site, &grounds).await?;
        let places = question.places.into_iter().map(|place| Place {
            value: place.value,
            label: place.label,
            about: place.about,
        });
        Ok(PlaceQuestion {
            application: form.application,
            provider: form.provider,
            noun: question.noun,
            places: places.collect(),
        })
    }

    async fn choose(
        &self,
        browser: &Browser,
        request: &str,
        place: &str,
    ) -> Result<Option<Finished>, ConnectError> {
        let env = self.site(browser).await?.environment.id;
        let request = Secret::new(request.to_owned());
        let cookie = browser.connect.as_ref();
        let end = self
            .agentkit
            .choose_place(env, cookie, &request, place)
            .await;
        let end = end.map_err(unnamed)?;
        end.map(|end| self.finished(end, cookie)).transpose()
    }
}

/// A hash in hexadecimal.
const PROOF_CHARACTERS: usize = 64;

impl HostedConnect {
    fn finished(
        &self,
        end: CallbackEnd,
        cookie: Option<&Secret<String>>,
    ) -> Result<Finished, ConnectError> {
        Ok(match end {
            CallbackEnd::Connected => Finished::Connected,
            CallbackEnd::Application(url) => Finished::Application(url),
            CallbackEnd::Choose(request) => Finished::Choose { request },
            CallbackEnd::SignIn(request) => {
                let cookie = cookie.ok_or(ConnectError::InvalidState)?;
                let proof = self.proof(&request, cookie);
                Finished::SignIn {
                    request: format!("{}{proof}", request.expose()),
                }
            }
        })
    }

    /// The member who finishes an authorization, and its number.
    async fn member_request(
        &self,
        browser: &Browser,
        request: &str,
    ) -> Result<(Arc<Site>, Caller, Secret<String>), ConnectError> {
        let site = self.site(browser).await?;
        // SECURITY: the proof ties the request to the browser that went through the consent, so
        // that nobody can make a member finish an authorization of his own.
        let split = request.len().checked_sub(PROOF_CHARACTERS);
        let (request, proof) = split
            .and_then(|at| request.split_at_checked(at))
            .ok_or(ConnectError::SessionExpired)?;
        let request = Secret::new(request.to_owned());
        let cookie = browser
            .connect
            .as_ref()
            .ok_or(ConnectError::SessionExpired)?;
        if !self.proves(&request, cookie, proof) {
            return Err(ConnectError::SessionExpired);
        }
        let credentials = Credentials {
            session_cookie: browser.member_session.clone(),
            ..Credentials::default()
        };
        let member = self.caller(&site, &credentials).await?;
        member
            .require_member()
            .map_err(|_| ConnectError::SessionExpired)?;
        Ok((site, member, request))
    }

    async fn site(&self, browser: &Browser) -> Result<Arc<Site>, ConnectError> {
        let found = self.agentkit.ctx().site_by_host(&browser.host).await?;
        found.ok_or(ConnectError::SessionExpired)
    }

    /// What the visitor is asked, in the name of the workspace: "Production" says nothing to him.
    async fn form(&self, site: &Site, grounds: &Grounds) -> Result<ConnectForm, ConnectError> {
        let workspace = workspaces::get(self.agentkit.ctx(), site.environment.workspace).await;
        let workspace = workspace.map_err(|error| ConnectError::Internal(Internal::new(error)))?;
        Ok(ConnectForm {
            application: workspace.display_name,
            ..connect_form::form(site, grounds)
        })
    }

    async fn link(
        &self,
        env: EnvironmentId,
        browser: &Browser,
        link: &Link,
    ) -> Result<OpenLink, ConnectError> {
        self.limits.may_open(browser.address)?;
        let opened = self.agentkit.open_link(env, &link.token, &link.state).await;
        if matches!(opened, Err(Error::AuthRequestNotFound)) {
            self.limits.opened_nothing(browser.address);
        }
        opened.map_err(refused)
    }

    async fn consent(&self, env: EnvironmentId, link: &OpenLink) -> Result<Consent, ConnectError> {
        let consent = self.agentkit.begin_consent(env, link).await;
        let consent = consent.map_err(refused)?;
        Ok(Consent {
            url: consent.url,
            provider: link.grounds.provider.display_name.clone(),
            connect: consent.browser,
            flow: consent.flow,
        })
    }

    async fn caller(&self, site: &Site, credentials: &Credentials) -> Result<Caller, ConnectError> {
        let caller = self.authorizer.authenticate(site, credentials).await;
        caller.map_err(|error| match error {
            AuthError::Internal(cause) => ConnectError::Internal(cause),
            _ => ConnectError::SessionExpired,
        })
    }

    fn proof(&self, request: &Secret<String>, cookie: &Secret<String>) -> String {
        hex::encode(self.hash(request, cookie).as_bytes())
    }

    fn proves(&self, request: &Secret<String>, cookie: &Secret<String>, proof: &str) -> bool {
        let sent = hex::decode(proof).ok();
        let sent = sent
            .as_deref()
            .and_then(keystead_crypto::TokenHash::from_bytes);
        sent == Some(self.hash(request, cookie))
    }

    fn hash(
        &self,
        request: &Secret<String>,
        cookie: &Secret<String>,
    ) -> keystead_crypto::TokenHash {
        let both = Secret::new(format!("{}.{}", request.expose(), cookie.expose()));
        self.agentkit.ctx().keys.hasher.hash(PROOF, both.expose())
    }

    /// The page's form of a failed callback, with the name of the service.
    async fn failed(
        &self,
        env: EnvironmentId,
        connection: ConnectionId,
        error: CallbackError,
    ) -> ConnectError {
        let provider = async || match self.agentkit.connection(env, connection).await {
            Ok(connection) => match self.agentkit.provider(env, &connection.provider_key).await {
                Ok(provider) => provider.display_name.clone(),
                Err(_) => connection.provider_key,
            },
            Err(_) => "The service".to_owned(),
        };
        match error {
            CallbackError::Unreadable(why) => ConnectError::Unreadable {
                description: why.to_string(),
            },
            CallbackError::InvalidState | CallbackError::WrongIssuer => ConnectError::InvalidState,
            CallbackError::SessionExpired => ConnectError::SessionExpired,
            CallbackError::Denied(denial) => ConnectError::Provider {
                code: denial.code,
                provider: provider().await,
            },
            CallbackError::Exchange(_) | CallbackError::PostAuth(_) => ConnectError::Exchange {
                description: error.to_string(),
                provider: provider().await,
            },
            CallbackError::NoVerifyUrl => ConnectError::Configuration {
                description: error.to_string(),
            },
            CallbackError::Other(cause) => refused(cause),
        }
    }
}

/// A failure after the provider was asked.
fn unnamed(error: CallbackError) -> ConnectError {
    match error {
        CallbackError::SessionExpired => ConnectError::SessionExpired,
        CallbackError::NoVerifyUrl => ConnectError::Configuration {
            description: error.to_string(),
        },
        CallbackError::Other(cause) => refused(cause),
        _ => ConnectError::InvalidState,
    }
}

fn refused(error: Error) -> ConnectError {
    match error {
        Error::AuthRequestNotFound => ConnectError::SessionExpired,
        Error::ConnectionDisabled(_) | Error::ConnectionNotFound(_) => {
            ConnectError::ConnectionUnavailable
        }
        Error::RateLimited(_) | Error::TooManyLinks(_) => ConnectError::TooManyRequests,
        Error::Internal(cause) => ConnectError::Internal(cause),
        other => ConnectError::Configuration {
            description: other.to_string(),
        },
    }
}

fn store(error: StoreError) -> ConnectError {
    ConnectError::Internal(Internal::new(error))
}
