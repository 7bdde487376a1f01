//! What the contract's field rules cannot say about an organization, and how one is searched for.

use keystead_types::FieldViolation;

/// Longest external id, in characters (DR-002).
pub const MAX_EXTERNAL_ID_CHARS: usize = 255;

/// How many characters of a suffix the search index keeps.
pub(crate) const SUFFIX_CHARS: usize = 16;

/// Checks an external id that is about to be stored.
pub(crate) fn external_id(value: &str) -> Result<(), FieldViolation> {
    let chars = value.chars().count();
    if chars == 0 || chars > MAX_EXTERNAL_ID_CHARS {
        let description = format!("must have 1 to {MAX_EXTERNAL_ID_CHARS} characters");
        return Err(violation(
            "organization.external_id",
            &description,
            "string.length",
        ));
    }
    if value.chars().any(char::is_control) {
        return Err(violation(
            "organization.external_id",
            "must not hold control characters",
            "string.pattern",
        ));
    }
    Ok(())
}

/// Checks a logo address (DR-005).
pub(crate) fn logo_url(value: &str) -> Result<(), FieldViolation> {
    let host = value
        .strip_prefix("https://")
        .and_then(|rest| rest.split(['/', '?', '#']).next());
    let legal = host.is_some_and(|host| !host.is_empty() && !host.contains('@'))
        && !value.chars().any(|c| c.is_whitespace() || c.is_control());
    if legal {
        Ok(())
    } else {
        Err(violation(
            "organization.logo_url",
            "must be an https URL",
            "string.uri",
        ))
    }
}

fn violation(field: &str, description: &str, constraint: &str) -> FieldViolation {
    let [field, description, constraint] = [field, description, constraint].map(str::to_owned);
    FieldViolation {
        field,
        description,
        constraint,
    }
}

/// The text a search runs over: name and external id, in lower case (DR-009).
pub(crate) fn search_text(display_name: &str, external_id: Option<&str>) -> String {
    // The separator keeps a match from reaching across both.
    let external_id = external_id.unwrap_or_default();
    format!(
        "{}\u{1f}{}",
        display_name.to_lowercase(),
        external_id.to_lowercase()
    )
}

/// A search, made ready for the index.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Pattern {
    /// The beginning every matching suffix has.
    pub(crate) from: String,
    /// The first text that no longer begins so.
    pub(crate) below: String,
    /// `LIKE` pattern with `\` as escape, for what the index cut off.
    pub(crate) like: String,
    /// Range of ids that begin with the query; empty when it cannot be an id.
    pub(crate) ids: (String, String),
}

impl Pattern {
    pub(crate) fn new(query: &str) -> Self {
        // Above every character that text can hold.
        const LAST: char = '\u{10ffff}';
        let query = query.to_lowercase();
        let from: String = query.chars().take(SUFFIX_CHARS).collect();
        let id = match query.strip_prefix("org_").unwrap_or(&query) {
            digits if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                format!("org_{digits}")
            }
            _ => String::new(),
        };
        let ids = if id.is_empty() {
            Default::default()
        } else {
            (id.clone(), format!("{id}{LAST}"))
        };
        let mut like = String::from("%");
        for character in query.chars() {
            if matches!(character, '%' | '_' | '\\') {
                like.push('\\');
            }
            like.push(character);
        }
        like.push('%');
        Self {
            below: format!("{from}{LAST}"),
            from,
            like,
            ids,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Part of DR-005
    #[test]
    fn only_https_logos_are_accepted() {
        assert!(logo_url("https://cdn.acme.test/logo.svg?v=1").is_ok());
        for junk in [
            "http://a.test/x",
            "https://",
            "https:///x",
            "https://u@a.test/",
            "javascript:alert(1)",
            "https://a b",
        ] {
            assert!(logo_url(junk).is_err(), "{junk}");
        }
    }

    /// DR-002
    #[test]
    fn external_ids_have_a_length() {
        assert!(external_id(&"é".repeat(255)).is_ok());
        assert!(external_id(&"a".repeat(256)).is_err());
        assert!(external_id("").is_err());
        assert!(external_id("a\nb").is_err());
    }

    /// DR-009
    #[test]
    fn a_query_becomes_a_range_and_an_escaped_pattern() {
        let pattern = Pattern::new("50%_Acme");
        assert_eq!(pattern.from, "50%_acme");
        assert_eq!(pattern.like, "%50\\%\\_acme%");
        assert_eq!(pattern.ids, Default::default());
        assert!(pattern.from < pattern.below);
        assert_eq!(Pattern::new("org_12").ids.0, "org_12");
        assert_eq!(Pattern::new("123").ids.0, "org_123");
        assert_eq!(Pattern::new("org_").ids.0, "");
        assert_eq!(
            Pattern::new("a very long name of a company")
                .from
                .chars()
                .count(),
            SUFFIX_CHARS
        );
    }
}
