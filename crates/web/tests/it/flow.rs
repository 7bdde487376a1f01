//! A flow that answers by the link's token and remembers what it was given.

use keystead_types::{ConnectionId, FieldViolation, Internal, Secret};
use keystead_web::connect::{
    Answers, Browser, ConnectError, ConnectFlow, ConnectForm, Consent, Finished, Link, Opened,
    Place, PlaceQuestion, Purpose, Question, QuestionOption, ScopeChoice, Submitted, ToVerify,
};
use std::sync::Mutex;

/// Token of the link, the `api_key` answered, the scopes chosen.
type Sent = (String, Option<String>, Vec<String>);

#[derive(Default)]
pub(crate) struct TestFlow {
    pub(crate) submitted: Mutex<Vec<Sent>>,
    pub(crate) callbacks: Mutex<Vec<Vec<(String, String)>>>,
    pub(crate) verified: Mutex<Vec<String>>,
    pub(crate) chosen: Mutex<Vec<String>>,
}

pub(crate) const HOSTILE: &str = "\"><script>alert('x')</script>&amp;\u{202e}txt.exe\u{2067}";

fn question(name: &str, label: &str, input_type: &str) -> Question {
    Question {
        name: name.to_owned(),
        label: label.to_owned(),
        input_type: input_type.to_owned(),
        required: true,
        ..Question::default()
    }
}

fn static_form(stored: bool) -> ConnectForm {
    ConnectForm {
        application: "Acme Assistant".to_owned(),
        provider: "Freshdesk".to_owned(),
        purpose: Purpose::Credentials,
        questions: vec![
            Question {
                hint: "The address you use in the browser, such as acme.freshdesk.com.".to_owned(),
                value: if stored {
                    "acme.freshdesk.com".to_owned()
                } else {
                    String::new()
                },
                ..question("domain", "Freshdesk domain", "text")
            },
            Question {
                hint: "In Freshdesk: Profile settings, then View API key.".to_owned(),
                stored,
                ..question("api_key", "API key", "password")
            },
            Question {
                options: vec![
                    QuestionOption {
                        value: "us".to_owned(),
                        label: "United States".to_owned(),
                        default: true,
                    },
                    QuestionOption {
                        value: "eu".to_owned(),
                        label: "Europe".to_owned(),
                        default: false,
                    },
                ],
                ..question("region", "Region", "select")
            },
        ],
        ..ConnectForm::default()
    }
}

fn scope_form() -> ConnectForm {
    let scope = |scope: &str, label: &str, about: &str, required| ScopeChoice {
        scope: scope.to_owned(),
        label: label.to_owned(),
        about: about.to_owned(),
        required,
        selected: true,
    };
    ConnectForm {
        application: "Acme Assistant".to_owned(),
        provider: "Zendesk".to_owned(),
        purpose: Purpose::BeforeConsent,
        questions: vec![Question {
            hint: "The part before .zendesk.com.".to_owned(),
            ..question("domain", "Subdomain", "text")
        }],
        scopes: vec![
            scope(
                "tickets:read",
                "Read tickets",
                "See tickets, comments and who wrote them.",
                true,
            ),
            scope(
                "tickets:write",
                "Write tickets",
                "Answer, assign and close tickets.",
                false,
            ),
            scope(
                "users:read",
                "Read users",
                "See names and e-mail addresses of requesters.",
                false,
            ),
        ],
        ..ConnectForm::default()
    }
}

fn hostile_form() -> ConnectForm {
    let mut form = static_form(true);
    HOSTILE.clone_into(&mut form.application);
    HOSTILE.clone_into(&mut form.provider);
    for question in &mut form.questions {
        for text in [&mut question.label, &mut question.hint, &mut question.value] {
            HOSTILE.clone_into(text);
        }
        question.name = format!("{}{HOSTILE}", question.name);
        for option in &mut question.options {
            HOSTILE.clone_into(&mut option.label);
            HOSTILE.clone_into(&mut option.value);
        }
    }
    form.scopes = vec![ScopeChoice {
        scope: HOSTILE.to_owned(),
        label: HOSTILE.to_owned(),
        about: HOSTILE.to_owned(),
        ..ScopeChoice::default()
    }];
    form
}

/// The link's state, up to what no state of a flow holds, is that of the flow.
fn consent(link: &Link) -> Consent {
    let state = link.state.split('&').next().unwrap();
    Consent {
        url: format!("https://provider.test/authorize?client_id=1&state={state}")
            .parse()
            .unwrap(),
        provider: "Zendesk".to_owned(),
        connect: Secret::new(format!("flow-{state}.mac")),
        flow: state.to_owned(),
    }
}

#[tonic::async_trait]
impl ConnectFlow for TestFlow {
    async fn open(&self, browser: &Browser, link: &Link) -> Result<Opened, ConnectError> {
        assert_eq!(browser.host, "acme.test");
        let form = |form| {
            Ok(Opened::Form {
                form,
                portal: Secret::new(format!("portal-{}", link.token.expose())),
            })
        };
        match link.token.expose().as_str() {
            "oauth" => Ok(Opened::Provider(consent(link))),
            "static" => form(static_form(false)),
            "again" => form(static_form(true)),
            "scopes" => form(scope_form()),
            "shared" => form(ConnectForm {
                application: "Acme Assistant".to_owned(),
                provider: "Zendesk".to_owned(),
                purpose: Purpose::Shared,
                ..ConnectForm::default()
            }),
            "hostile" => form(hostile_form()),
            "unready" => Err(ConnectError::Configuration {
                description: "user_verify_url not configured for verification redirect".to_owned(),
            }),
            "gone" => Err(ConnectError::ConnectionUnavailable),
            "often" => Err(ConnectError::TooManyRequests),
            "broken" => Err(Internal::new("canary-database-password").into()),
            _ => Err(ConnectError::SessionExpired),
        }
    }

    async fn submit(
        &self,
        browser: &Browser,
        link: &Link,
        answers: Answers,
    ) -> Result<Submitted, ConnectError> {
        let portal = browser.portal.as_ref().unwrap().expose();
        assert_eq!(*portal, format!("portal-{}", link.token.expose()));
        let key = answers.get("api_key").map(|key| key.expose().clone());
        self.submitted.lock().unwrap().push((
            link.token.expose().clone(),
            key.clone(),
            answers.scopes.clone(),
        ));
        match link.token.expose().as_str() {
            "scopes" => Ok(Submitted::Provider(consent(link))),
            "static" if answers.get("domain").is_none() => Ok(Submitted::Wrong {
                form: static_form(false),
                violations: vec![FieldViolation {
                    field: "domain".to_owned(),
                    description: "Enter the Freshdesk domain.".to_owned(),
                    constraint: "required".to_owned(),
                }],
            }),
            _ => Ok(Submitted::Finished(Finished::Connected)),
        }
    }

    async fn callback(
        &self,
        browser: &Browser,
        _: ConnectionId,
        parameters: &[(String, String)],
    ) -> Result<Finished, ConnectError> {
        let value = |name: &str| {
            parameters
                .iter()
                .find(|(key, _)| key == name)
                .map_or("", |(_, value)| value)
        };
        if value("error").is_empty() && value("code").is_empty() {
            return Err(ConnectError::Unreadable {
                description: "the callback carries neither code nor error".to_owned(),
            });
        }
        let bound = format!("flow-{}.mac", value("state"));
        if browser.connect.as_ref().map(Secret::expose) != Some(&bound) {
            return Err(ConnectError::InvalidState);
        }
        self.callbacks.lock().unwrap().push(parameters.to_vec());
        match (value("error"), value("code")) {
            ("", "custom") => Ok(Finished::Application(
                "https://app.test/verify?auth_request_id=1".parse().unwrap(),
            )),
            ("", "member") => Ok(Finished::SignIn {
                request: "request-1".to_owned(),
            }),
            ("", "several") => Ok(Finished::Choose {
                request: Secret::new("place-1".to_owned()),
            }),
            ("", "bad") => Err(ConnectError::Exchange {
                description: "Error executing post auth hooks".to_owned(),
                provider: "Zendesk".to_owned(),
            }),
            ("", _) => Ok(Finished::Connected),
            (code, _) => Err(ConnectError::Provider {
                code: code.to_owned(),
                provider: "Zendesk".to_owned(),
            }),
        }
    }

    async fn verify_member(
        &self,
        browser: &Browser,
        request: &str,
    ) -> Result<Finished, ConnectError> {
        assert!(browser.member_session.is_some());
        self.verified.lock().unwrap().push(request.to_owned());
        Ok(Finished::Connected)
    }

    async fn to_verify(&self, browser: &Browser, request: &str) -> Result<ToVerify, ConnectError> {
        assert!(browser.member_session.is_some());
        let user = match request {
            "request-1" => Some("ada <1>".to_owned()),
            "request-all" => None,
            _ => return Err(ConnectError::SessionExpired),
        };
        Ok(ToVerify {
            service: "Zendesk".to_owned(),
            connection: "support-desk".to_owned(),
            user,
        })
    }

    async fn to_choose(
        &self,
        browser: &Browser,
        request: &str,
    ) -> Result<PlaceQuestion, ConnectError> {
        let cookie = browser.connect.as_ref().map(Secret::expose);
        if request != "place-1" || cookie.is_none_or(|cookie| cookie != "flow-s.mac") {
            return Err(ConnectError::InvalidState);
        }
        let place = |value: &str, label: &str, about: &str| Place {
            value: value.to_owned(),
            label: label.to_owned(),
            about: about.to_owned(),
        };
        Ok(PlaceQuestion {
            application: "Acme Assistant".to_owned(),
            provider: "Jira".to_owned(),
            noun: "site".to_owned(),
            places: vec![
                place("1", "Acme", "https://acme.atlassian.net"),
                place("2", HOSTILE, HOSTILE),
            ],
        })
    }

    async fn choose(
        &self,
        browser: &Browser,
        request: &str,
        place: &str,
    ) -> Result<Option<Finished>, ConnectError> {
        let question = self.to_choose(browser, request).await?;
        if !question.places.iter().any(|known| known.value == place) {
            return Ok(None);
        }
        self.chosen.lock().unwrap().push(place.to_owned());
        Ok(Some(if place == "1" {
            Finished::Connected
        } else {
            Finished::Application("https://app.test/verify?auth_request_id=1".parse().unwrap())
        }))
    }
}
