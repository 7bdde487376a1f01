//! What a form sent.

use std::fmt;

/// The fields of a form, in order; a name may occur several times. Never shown in logs: any of
/// them may be a secret.
#[derive(Clone, Default)]
pub(crate) struct FormData(Vec<(String, String)>);

impl FormData {
    /// From names and values.
    pub(crate) fn new(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }

    /// Reads `application/x-www-form-urlencoded` text.
    pub(crate) fn parse(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    /// The first value of a field, trimmed; empty when absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The value of a secret field: what was typed masked, or visibly when that was chosen.
    pub(crate) fn secret(&self, name: &str) -> &str {
        let visible = self.has(&format!("{name}.show"));
        let value = if visible {
            self.text(&format!("{name}.visible"))
        } else {
            self.text(name)
        };
        // A value in the other input is not lost when this one was left empty.
        if value.is_empty() && visible {
            self.text(name)
        } else {
            value
        }
    }

    /// Every value of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(key, _)| key == name);
        values.map(|(_, value)| value.clone()).collect()
    }

    /// Whether the field was sent and is not empty: a ticked box.
    pub(crate) fn has(&self, name: &str) -> bool {
        !self.raw(name).is_empty()
    }

    /// The lines of a field, trimmed, without empty ones.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let lines = self.raw(name).split(['\n', '\r', ' ', '\t']);
        lines
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn raw(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value)
    }
}

impl fmt::Debug for FormData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::FormData;

    #[test]
    fn a_secret_comes_from_the_input_the_visitor_chose() {
        let masked = FormData::parse(b"key=abc&key.visible=");
        assert_eq!(masked.secret("key"), "abc");
        let visible = FormData::parse(b"key=old&key.visible=new&key.show=on");
        assert_eq!(visible.secret("key"), "new");
        let moved_on = FormData::parse(b"key=abc&key.visible=&key.show=on");
        assert_eq!(moved_on.secret("key"), "abc");
    }

    #[test]
    fn debug_shows_names_only() {
        let form = FormData::parse(b"api_key=canary-1");
        assert_eq!(format!("{form:?}"), r#"["api_key"]"#);
    }
}
