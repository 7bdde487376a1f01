//! The questions of the hosted form, from what the connector and the connection say (AK-304).

use keystead_agentkit::{
    accounts::{Grounds, ScopeSelection},
    links::FormAnswers,
    providers::{Field, InputType},
};
use keystead_identity::Site;
use keystead_web::connect::{Answers, ConnectForm, Purpose, Question, QuestionOption, ScopeChoice};
use std::collections::BTreeMap;

/// What the visitor is asked.
pub(crate) fn form(site: &Site, grounds: &Grounds) -> ConnectForm {
    if grounds.consents_only() {
        return ConnectForm {
            application: site.environment.display_name.clone(),
            provider: grounds.provider.display_name.clone(),
            purpose: Purpose::Shared,
            ..ConnectForm::default()
        };
    }
    let redirects = grounds.connection.kind.is_redirect();
    let questions = if redirects {
        let fields = &grounds.pattern.account_fields;
        fields.iter().map(|field| setting(grounds, field)).collect()
    } else {
        let credentials = grounds.pattern.fields.iter();
        let settings = &grounds.pattern.account_fields;
        credentials
            .map(|field| credential(grounds, field))
            .chain(settings.iter().map(|field| setting(grounds, field)))
            .collect()
    };
    let choosing = redirects && grounds.connection.settings.scope_selection_allowed;
    ConnectForm {
        application: site.environment.display_name.clone(),
        provider: grounds.provider.display_name.clone(),
        purpose: if redirects {
            Purpose::BeforeConsent
        } else {
            Purpose::Credentials
        },
        questions,
        scopes: if choosing {
            scopes(grounds)
        } else {
            Vec::new()
        },
        optional_scopes: if choosing {
            optional_scopes(grounds)
        } else {
            Vec::new()
        },
    }
}

/// What the visitor answered.
pub(crate) fn answers(grounds: &Grounds, answers: &Answers) -> FormAnswers {
    let pattern = &grounds.pattern;
    let redirects = grounds.connection.kind.is_redirect();
    let credentials = if redirects {
        &[]
    } else {
        pattern.fields.as_slice()
    };
    let asked = credentials.iter().chain(&pattern.account_fields);
    let fields: BTreeMap<String, String> = asked
        .filter_map(|field| {
            let answer = answers.get(&field.field_name)?;
            Some((field.field_name.clone(), answer.expose().clone()))
        })
        .collect();
    let choosing = redirects && grounds.connection.settings.scope_selection_allowed;
    FormAnswers {
        fields,
        scope_selection: choosing.then(|| ScopeSelection {
            scopes: answers.scopes.clone(),
            optional_scopes: answers.optional_scopes.clone(),
        }),
    }
}

/// A field of the credential: its stored value never goes back to a browser.
fn credential(grounds: &Grounds, field: &Field) -> Question {
    Question {
        stored: grounds.credential.details.contains_key(&field.field_name),
        ..question(field)
    }
}

/// A field of the account that is no secret.
fn setting(grounds: &Grounds, field: &Field) -> Question {
    let present = grounds.account.api_config.get(&field.field_name);
    let value = present.and_then(|value| value.as_str()).unwrap_or_default();
    if field.input_type == InputType::Password {
        return Question {
            stored: !value.is_empty(),
            ..question(field)
        };
    }
    Question {
        value: value.to_owned(),
        ..question(field)
    }
}

fn question(field: &Field) -> Question {
    let options = field.options.iter().map(|option| QuestionOption {
        value: option.value.clone(),
        label: shown(&option.display_name, &option.value),
        default: option.default,
    });
    Question {
        name: field.field_name.clone(),
        label: shown(&field.label, &field.field_name),
        hint: field.hint.clone(),
        input_type: field.input_type.clone().into(),
        required: field.required,
        stored: false,
        value: String::new(),
        options: options.collect(),
    }
}

fn shown(name: &str, otherwise: &str) -> String {
    if name.is_empty() { otherwise } else { name }.to_owned()
}

fn scopes(grounds: &Grounds) -> Vec<ScopeChoice> {
    let settings = &grounds.connection.settings;
    let selection = grounds.account.scope_selection.as_ref();
    let selected = selection.map(|selection| selection.scopes.as_slice());
    let offered = offered(grounds);
    let configured: Vec<String> = if settings.scopes.is_empty() {
        offered.iter().map(|scope| scope.scope.clone()).collect()
    } else {
        settings.scopes.clone()
    };
    choices(grounds, &configured, &settings.required_scopes, selected)
}

fn optional_scopes(grounds: &Grounds) -> Vec<ScopeChoice> {
    let settings = &grounds.connection.settings;
    let selection = grounds.account.scope_selection.as_ref();
    let selected = selection.map(|selection| selection.optional_scopes.as_slice());
    let configured = settings.optional_scopes.as_ref();
    let configured = configured.map(|bucket| bucket.scopes.clone());
    choices(
        grounds,
        &configured.unwrap_or_default(),
        &settings.required_optional_scopes,
        selected,
    )
}

/// Everything is chosen until the visitor has chosen.
fn choices(
    grounds: &Grounds,
    configured: &[String],
    required: &[String],
    selected: Option<&[String]>,
) -> Vec<ScopeChoice> {
    let offered = offered(grounds);
    let choice = |scope: &String| {
        let known = offered.iter().find(|known| known.scope == *scope);
        let required = required.contains(scope) || known.is_some_and(|known| known.required);
        ScopeChoice {
            scope: scope.clone(),
            label: known.map_or_else(|| scope.clone(), |known| shown(&known.display_name, scope)),
            about: known.map_or_else(String::new, |known| known.description.clone()),
            required,
            selected: required || selected.is_none_or(|selected| selected.contains(scope)),
        }
    };
    configured.iter().map(choice).collect()
}

fn offered(grounds: &Grounds) -> &[keystead_agentkit::providers::Scope] {
    let oauth = grounds.pattern.oauth_config.as_ref();
    oauth.map_or(&[], |oauth| oauth.available_scopes.as_slice())
}
