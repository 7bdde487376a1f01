use crate::failure::{clean_code, clean_text};
use keystead_types::Secret;
use std::collections::HashMap;
use url::form_urlencoded;

/// The browser came back without an answer that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallbackError {
    /// Without `state` the answer belongs to no flow.
    #[error("the callback carries no state")]
    NoState,
    /// Neither code nor error.
    #[error("the callback carries neither code nor error")]
    NoAnswer,
    /// A parameter occurs twice (RFC 6749, section 3.1 forbids it).
    #[error("the callback repeats a parameter")]
    Repeated,
}

/// The provider's refusal (RFC 6749, section 4.1.2.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denial {
    /// `access_denied` and the like, safe to log and show.
    pub code: String,
    /// The provider's text, cut and cleaned; written by whoever made the URL, so not to be trusted.
    pub description: Option<String>,
}

/// What the provider sent the browser back with.
#[derive(Debug)]
pub struct Callback {
    /// The flow. Look it up before believing anything else.
    pub state: Secret<String>,
    /// The code, or why there is none.
    pub outcome: Result<Secret<String>, Denial>,
    /// Who answered (RFC 9207), to be compared with the issuer when it is known.
    pub issuer: Option<String>,
}

impl Callback {
    /// Reads a query or a form body.
    ///
    /// # Errors
    /// [`CallbackError`].
    pub fn parse(query: &str) -> Result<Self, CallbackError> {
        let known = ["state", "code", "error", "error_description", "iss"];
        let mut values = parameters(query, &known)?;
        let mut take = |name: &str| values.remove(name);
        let state = take("state").ok_or(CallbackError::NoState)?;
        let description = take("error_description");
        // An error wins: a provider that sends both has refused.
        let outcome = match (take("error"), take("code")) {
            (Some(error), _) => Err(Denial {
                code: clean_code(&error),
                description: description.and_then(|text| clean_text(&text)),
            }),
            (None, Some(code)) => Ok(Secret::new(code)),
            (None, None) => return Err(CallbackError::NoAnswer),
        };
        Ok(Self {
            state: Secret::new(state),
            outcome,
            issuer: take("iss"),
        })
    }
}

/// The known parameters that have a value; each may occur once.
pub(crate) fn parameters(
    query: &str,
    known: &[&str],
) -> Result<HashMap<String, String>, CallbackError> {
    let mut values = HashMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
        if known.contains(&name.as_str()) && values.insert(name, value).is_some() {
            return Err(CallbackError::Repeated);
        }
    }
    values.retain(|_, value| !value.is_empty());
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::{Callback, CallbackError, Denial};

    #[test]
    fn a_code_comes_with_its_state() {
        let callback =
            Callback::parse("code=a%2Bb&state=st&iss=https%3A%2F%2Fp.test&other=1&other=2")
                .unwrap();
        assert_eq!(callback.state.expose(), "st");
        assert_eq!(callback.outcome.unwrap().expose(), "a+b");
        assert_eq!(callback.issuer.as_deref(), Some("https://p.test"));
    }

    /// AK-310.
    #[test]
    fn a_refusal_is_cleaned_before_anyone_sees_it() {
        let cases = [
            ("error=access_denied&state=s", "access_denied", None),
            ("error=access_denied&code=c&state=s", "access_denied", None),
            (
                "error=access_denied&state=s&error_description=The+user%0D%0Asaid+no",
                "access_denied",
                Some("The user said no"),
            ),
            ("error=%3Cscript%3E&state=s", "unrecognized_error", None),
        ];
        for (query, code, description) in cases {
            let expected = Denial {
                code: code.into(),
                description: description.map(Into::into),
            };
            assert_eq!(
                Callback::parse(query).unwrap().outcome.unwrap_err(),
                expected
            );
        }
    }

    #[test]
    fn unusable_callbacks_are_refused() {
        let cases = [
            ("", CallbackError::NoState),
            ("code=c", CallbackError::NoState),
            ("code=c&state=", CallbackError::NoState),
            ("state=s", CallbackError::NoAnswer),
            ("state=s&code=", CallbackError::NoAnswer),
            ("state=s&state=t&code=c", CallbackError::Repeated),
            ("state=s&code=c&code=d", CallbackError::Repeated),
        ];
        for (query, expected) in cases {
            assert_eq!(Callback::parse(query).unwrap_err(), expected, "{query}");
        }
    }
}
