use crate::{CallbackError, Denial, callback::parameters, failure::clean_code};
use keystead_types::Secret;

/// What proves that the user consented (section 2.2).
#[derive(Debug)]
pub struct Verifier {
    /// The temporary token it is for; compare it with the one the flow began with.
    pub token: Secret<String>,
    /// `oauth_verifier`.
    pub verifier: Secret<String>,
}

/// What the provider sent the browser back with. The protocol has no `state`: it is a parameter
/// of the callback address that was registered with the temporary credentials.
#[derive(Debug)]
pub struct Callback {
    /// The flow. Look it up before believing anything else.
    pub state: Secret<String>,
    /// The verifier, or why there is none.
    pub outcome: Result<Verifier, Denial>,
}

impl Callback {
    /// Reads a query.
    ///
    /// Section 2.2 leaves open how a refusal looks: `denied` and `oauth_problem` are in use, and a
    /// return without verifier is one too.
    ///
    /// # Errors
    /// [`CallbackError`].
    pub fn parse(query: &str) -> Result<Self, CallbackError> {
        let known = [
            "state",
            "oauth_token",
            "oauth_verifier",
            "denied",
            "oauth_problem",
        ];
        let mut values = parameters(query, &known)?;
        let mut take = |name: &str| values.remove(name);
        let state = take("state").ok_or(CallbackError::NoState)?;
        let refusal = take("oauth_problem")
            .map(|problem| clean_code(&problem))
            .or_else(|| take("denied").map(|_| "access_denied".to_owned()));
        let outcome = match (refusal, take("oauth_token"), take("oauth_verifier")) {
            (None, Some(token), Some(verifier)) => Ok(Verifier {
                token: Secret::new(token),
                verifier: Secret::new(verifier),
            }),
            (refusal, _, _) => Err(Denial {
                code: refusal.map_or_else(|| "access_denied".to_owned(), as_oauth2),
                description: None,
            }),
        };
        Ok(Self {
            state: Secret::new(state),
            outcome,
        })
    }
}

/// The names of the problem reporting extension, where OAuth 2.0 has a word for the same.
fn as_oauth2(problem: String) -> String {
    match problem.as_str() {
        "permission_denied" | "user_refused" => "access_denied".to_owned(),
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::Callback;
    use crate::CallbackError;

    #[test]
    fn a_verifier_comes_with_its_token_and_state() {
        let callback =
            Callback::parse("state=st&oauth_token=t%2B1&oauth_verifier=v&x=1&x=2").unwrap();
        assert_eq!(callback.state.expose(), "st");
        let verifier = callback.outcome.unwrap();
        assert_eq!(
            (
                verifier.token.expose().as_str(),
                verifier.verifier.expose().as_str()
            ),
            ("t+1", "v")
        );
    }

    /// AK-310.
    #[test]
    fn every_way_to_refuse_is_a_refusal() {
        let cases = [
            ("state=s&denied=t1", "access_denied"),
            (
                "state=s&oauth_problem=user_refused&oauth_token=t&oauth_verifier=v",
                "access_denied",
            ),
            ("state=s&oauth_problem=token_expired", "token_expired"),
            ("state=s&oauth_problem=%3Cscript%3E", "unrecognized_error"),
            ("state=s&oauth_token=t", "access_denied"),
            ("state=s&oauth_token=t&oauth_verifier=", "access_denied"),
            ("state=s", "access_denied"),
        ];
        for (query, code) in cases {
            assert_eq!(
                Callback::parse(query).unwrap().outcome.unwrap_err().code,
                code,
                "{query}"
            );
        }
    }

    #[test]
    fn unusable_callbacks_are_refused() {
        let cases = [
            ("", CallbackError::NoState),
            ("oauth_token=t&oauth_verifier=v", CallbackError::NoState),
            (
                "state=s&state=t&oauth_token=t&oauth_verifier=v",
                CallbackError::Repeated,
            ),
            (
                "state=s&oauth_token=t&oauth_token=u&oauth_verifier=v",
                CallbackError::Repeated,
            ),
        ];
        for (query, expected) in cases {
            assert_eq!(Callback::parse(query).unwrap_err(), expected, "{query}");
        }
    }
}
