use super::flow::{ConnectForm, Link, Purpose, Question, ScopeChoice, field_name};
use crate::{
    form_data::FormData,
    view::{Choice, ConnectPage, Field, Form, Kind},
};
use keystead_types::FieldViolation;

/// The page that asks.
pub(super) fn page(form: &ConnectForm, link: &Link, csrf: String) -> ConnectPage {
    let mut fields = Form {
        action: address(link),
        csrf,
        submit: match form.purpose {
            Purpose::Credentials => format!("Connect {}", form.provider),
            Purpose::BeforeConsent => format!("Continue to {}", form.provider),
            Purpose::Shared => "Allow".to_owned(),
        },
        ..Form::default()
    };
    for question in &form.questions {
        fields = fields.field(field(question));
    }
    if !form.scopes.is_empty() {
        let label = format!("What {} may do", form.application);
        fields = fields.field(Field::new(
            "scope",
            &label,
            Kind::Many(choices(&form.scopes)),
        ));
    }
    if !form.optional_scopes.is_empty() {
        let kind = Kind::Many(choices(&form.optional_scopes));
        let hint = format!("{} lets you leave these out.", form.provider);
        fields =
            fields.field(Field::new("optional_scope", "Optional permissions", kind).hint(hint));
    }
    ConnectPage {
        lead: lead(form),
        reassurance: match form.purpose {
            Purpose::Credentials => format!(
                "Stored encrypted and used only to reach {} for you. {} can disconnect it at any time.",
                form.provider, form.application
            ),
            Purpose::BeforeConsent => format!(
                "You sign in at {} itself. Your password is never shown to {}.",
                form.provider, form.application
            ),
            Purpose::Shared => format!(
                "You need no {} account of your own. {} can disconnect you at any time.",
                form.provider, form.application
            ),
        },
        application: form.application.clone(),
        provider: form.provider.clone(),
        form: fields,
    }
}

/// The page again, with what was wrong and the answers that are not secret.
pub(super) fn again(
    form: &ConnectForm,
    link: &Link,
    csrf: String,
    sent: &FormData,
    violations: Vec<FieldViolation>,
) -> ConnectPage {
    let mut form = form.clone();
    for question in form
        .questions
        .iter_mut()
        .filter(|question| question.input_type != "password")
    {
        sent.text(&field_name(&question.name))
            .clone_into(&mut question.value);
    }
    let keep = |choices: &mut Vec<ScopeChoice>, name| {
        let chosen = sent.all(name);
        for choice in choices {
            choice.selected = chosen.contains(&choice.scope);
        }
    };
    keep(&mut form.scopes, "scope");
    keep(&mut form.optional_scopes, "optional_scope");
    let mut page = page(&form, link, csrf);
    let blame = |violation: FieldViolation| (field_name(&violation.field), violation.description);
    page.form.blame(violations.into_iter().map(blame).collect());
    page
}

/// Address of a link, on this host.
pub(super) fn address(link: &Link) -> String {
    format!("/oauth/connect?{}", query(link))
}

/// A link as the query of its address.
pub(super) fn query(link: &Link) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("token", link.token.expose())
        .append_pair("state", &link.state)
        .finish()
}

fn lead(form: &ConnectForm) -> String {
    let application = &form.application;
    let provider = &form.provider;
    match (form.purpose, form.questions.is_empty()) {
        (Purpose::Credentials, _) => {
            format!("{application} will use these details to work with your {provider} account.")
        }
        (Purpose::BeforeConsent, false) => {
            format!("Tell us which account to use. Then {provider} asks for your permission.")
        }
        (Purpose::Shared, _) => {
            format!("{application} will work with your organization's {provider} account for you.")
        }
        (Purpose::BeforeConsent, true) => {
            format!("Choose what {application} may do. Then {provider} asks for your permission.")
        }
    }
}

/// SECURITY: a secret is never sent back to the browser; a stored one is only mentioned (AK-305).
fn field(question: &Question) -> Field {
    let kind = match question.input_type.as_str() {
        "password" => Kind::Secret,
        "textarea" => Kind::Lines,
        "select" => Kind::Select(options(question)),
        _ => Kind::Text,
    };
    let label = if question.label.is_empty() {
        &question.name
    } else {
        &question.label
    };
    Field {
        hint: question.hint.clone(),
        required: question.required && !question.stored,
        stored: question.stored,
        ..Field::new(&field_name(&question.name), label, kind).value(question.value.clone())
    }
}

fn options(question: &Question) -> Vec<Choice> {
    let chosen = |option: &super::QuestionOption| {
        if question.value.is_empty() {
            option.default
        } else {
            option.value == question.value
        }
    };
    let none = (!question.options.iter().any(chosen)).then(|| Choice::new("", "Choose…", "", ""));
    let choices = question.options.iter().map(|option| Choice {
        value: option.value.clone(),
        label: if option.label.is_empty() {
            option.value.clone()
        } else {
            option.label.clone()
        },
        selected: chosen(option),
        ..Choice::default()
    });
    none.into_iter().chain(choices).collect()
}

fn choices(scopes: &[ScopeChoice]) -> Vec<Choice> {
    let choice = |scope: &ScopeChoice| Choice {
        value: scope.scope.clone(),
        label: if scope.label.is_empty() {
            scope.scope.clone()
        } else {
            scope.label.clone()
        },
        about: scope.about.clone(),
        selected: scope.selected,
        fixed: scope.required,
    };
    scopes.iter().map(choice).collect()
}
