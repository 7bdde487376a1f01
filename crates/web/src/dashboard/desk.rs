//! What every dashboard page begins with: who asks, in which environment, and the frame around it.

use super::{login::SignedIn, rpc::InProcess, trouble::Trouble};
use crate::{
    Deps, cookies, csrf,
    failure::Failure,
    form_data::FormData,
    render,
    view::{
        Block, Confirm, Crumb, EnvironmentChoice, Field, Form, Kind, Notice, Page, Shell, Tone,
    },
};
use axum::{
    extract::{FromRequestParts, OriginalUri, RawPathParams},
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode, header, request::Parts};
use keystead_proto::v1::{
    commons::EnvironmentType,
    environments::{Environment, ListEnvironmentsRequest},
};

/// A signed-in member at a page; the page's environment when its address names one.
pub(crate) struct Desk {
    pub(crate) member: SignedIn,
    /// Anti-forgery token of forms; empty for a member who may change nothing.
    pub(crate) csrf: String,
    /// Anti-forgery token to sign out with.
    leave: String,
    /// The query of the address.
    pub(crate) query: FormData,
    pub(crate) environments: Vec<Environment>,
    /// The environment of the page; empty outside of any.
    pub(crate) environment: Environment,
    /// `/dashboard/env_…`
    pub(crate) base: String,
    /// The services, as this member in this environment.
    pub(crate) rpc: InProcess,
}

impl FromRequestParts<Deps> for Desk {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, deps: &Deps) -> Result<Self, Response> {
        let Some(session) = cookies::SESSION.read(&parts.headers) else {
            return Err(sign_in(parts));
        };
        let member = match deps.login.member(&session).await {
            Ok(Some(member)) => member,
            Ok(None) => return Err(sign_in(parts)),
            Err(cause) => {
                let reference = crate::failure::reference(deps);
                tracing::error!(%reference, %cause, "a session cannot be looked up");
                return Err(Failure::Internal(reference).into_response());
            }
        };
        let host = parts.headers.get(header::HOST).cloned();
        let rpc = InProcess::new(deps.services.clone(), &session, host);
        let request = ListEnvironmentsRequest {
            page_size: 100,
            ..Default::default()
        };
        let environments = match rpc.environments().list_environment(request).await {
            Ok(answer) => answer.into_inner().environments,
            Err(status) => match Trouble::from(status) {
                Trouble::SignIn => return Err(sign_in(parts)),
                trouble => return Err(trouble.into_response()),
            },
        };
        let params = RawPathParams::from_request_parts(parts, deps).await;
        let wanted = params.ok().and_then(|params| {
            params
                .iter()
                .find(|(name, _)| *name == "env")
                .map(|(_, id)| id.to_owned())
        });
        let environment = match &wanted {
            None => Environment::default(),
            Some(id) => match environments
                .iter()
                .find(|environment| environment.id == *id)
            {
                Some(environment) => environment.clone(),
                None => return Err(Failure::Missing.into_response()),
            },
        };
        let token = csrf::token(deps, cookies::SESSION, session.expose());
        Ok(Self {
            csrf: if member.reads_only {
                String::new()
            } else {
                token.clone()
            },
            leave: token,
            query: FormData::parse(parts.uri.query().unwrap_or_default().as_bytes()),
            base: wanted.map_or_else(String::new, |id| format!("/dashboard/{id}")),
            rpc: if environment.id.is_empty() {
                rpc
            } else {
                rpc.in_environment(&environment.domain)
            },
            member,
            environments,
            environment,
        })
    }
}

/// To the sign-in page; a page that was only looked at comes back afterwards.
fn sign_in(parts: &Parts) -> Response {
    let mut to = "/dashboard/sign-in".to_owned();
    if parts.method == Method::GET {
        // Below a nested router `parts.uri` holds only the rest of the path.
        let uri = parts
            .extensions
            .get::<OriginalUri>()
            .map_or(&parts.uri, |uri| &uri.0);
        let path = uri
            .path_and_query()
            .map_or("/dashboard", |path| path.as_str());
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", path)
            .finish();
        to = format!("{to}?{query}");
    }
    render::redirect(StatusCode::SEE_OTHER, &to)
}

/// What the member just did, by the word in the address; nothing else can be put there.
fn toast(done: &str) -> Option<&'static str> {
    Some(match done {
        "account-deleted" => "Connected account deleted",
        "account-disconnected" => "Connected account disconnected",
        "account-refreshed" => "Token refreshed",
        "client-created" => "Client created. Create a secret to use it.",
        "client-deleted" => "Client deleted",
        "connection-created" => "Connection created. Finish its settings below.",
        "connection-created-plain" => {
            "Connection created, but without the permissions you chose. Enter them below."
        }
        "connection-deleted" => "Connection deleted",
        "connection-deleting" => {
            "The connection is switched off and being deleted with its accounts"
        }
        "connection-disabled" => "Connection disabled",
        "connection-enabled" => "Connection enabled",
        "connector-copied" => "Connector copied",
        "connector-created" => "Connector created",
        "connector-deleted" => "Connector deleted",
        "environment-created" => "Environment created",
        "saved" => "Changes saved",
        "secret-revoked" => "Secret revoked",
        _ => return None,
    })
}

impl Desk {
    /// An empty page in the frame, with a word about what the member just did.
    pub(crate) fn page(&self, section: &'static str, title: impl Into<String>) -> Page {
        let done = toast(self.query.text("done"));
        let notice = done.map(|done| {
            Block::Notice(Notice {
                toast: true,
                ..Notice::new(Tone::Good, done, "")
            })
        });
        Page {
            shell: self.shell(section),
            title: title.into(),
            blocks: notice.into_iter().collect(),
            ..Page::default()
        }
    }

    /// Asks before something is destroyed; where real users are, for the environment's name too
    /// (DB-021). [`Self::unconfirmed`] checks it.
    pub(crate) fn confirm(
        &self,
        section: &'static str,
        title: String,
        consequences: &[&str],
        mut form: Form,
    ) -> Confirm {
        if self.is_production() {
            let name = &self.environment.display_name;
            let field = Field::new("environment", "Name of the environment", Kind::Text)
                .required()
                .hint(format!(
                    "This is a production environment. Enter {name} to go on."
                ));
            form = form.field(field);
            if self.query.has("again") {
                let wrong = format!("Enter {name}, exactly as it is written.");
                form.blame(vec![("environment".to_owned(), wrong)]);
            }
        }
        Confirm {
            shell: self.shell(section),
            title,
            consequences: consequences.iter().map(|&text| text.to_owned()).collect(),
            form,
        }
    }

    /// Where to go when what the confirmation at `path` asks for is not there.
    pub(crate) fn unconfirmed(&self, sent: &FormData, path: &str) -> Option<Response> {
        let named = sent.text("environment") == self.environment.display_name.trim();
        (self.is_production() && !named).then(|| {
            let again = format!("{}?again=1", self.path(path));
            render::redirect(StatusCode::SEE_OTHER, &again)
        })
    }

    /// A form of this session that posts below the environment's pages.
    pub(crate) fn form(&self, path: &str, submit: &str) -> Form {
        Form {
            action: self.path(path),
            csrf: self.csrf.clone(),
            submit: submit.to_owned(),
            ..Form::default()
        }
    }

    /// An address below the environment's pages.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A page above the present one.
    pub(crate) fn crumb(&self, path: &str, title: &str) -> Crumb {
        Crumb {
            href: self.path(path),
            title: title.to_owned(),
        }
    }

    /// Sends the browser to a page that says what was done.
    pub(crate) fn done(&self, path: &str, word: &str) -> Response {
        render::redirect(
            StatusCode::SEE_OTHER,
            &format!("{}?done={word}", self.path(path)),
        )
    }

    /// Address of the environment for API calls.
    pub(crate) fn environment_url(&self) -> String {
        let custom = self
            .environment
            .custom_domain
            .clone()
            .filter(|domain| !domain.is_empty());
        format!(
            "https://{}",
            custom.unwrap_or_else(|| self.environment.domain.clone())
        )
    }

    /// Whether the environment serves real users.
    pub(crate) fn is_production(&self) -> bool {
        production(&self.environment)
    }

    fn shell(&self, section: &'static str) -> Shell {
        let choice = |environment: &Environment| EnvironmentChoice {
            href: format!("/dashboard/{}", environment.id),
            name: environment.display_name.clone(),
            production: production(environment),
            current: environment.id == self.environment.id,
        };
        Shell {
            base: self.base.clone(),
            environment: self.environment.display_name.clone(),
            production: self.is_production(),
            environments: self.environments.iter().map(choice).collect(),
            member: self.member.email.clone(),
            workspace: self.member.workspace.clone(),
            csrf: self.leave.clone(),
            section,
        }
    }
}

/// Whether an environment serves real users.
pub(crate) fn production(environment: &Environment) -> bool {
    environment.r#type == i32::from(EnvironmentType::Prd)
}
