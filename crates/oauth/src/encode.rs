use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986. Both the query decoder and the form decoder of
/// every provider read it, unlike `+` for a space; OAuth 1.0a demands it (RFC 5849, section 3.6).
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

pub(crate) fn percent(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// `a=1&b=2`. Allocates once, so that growing never leaves copies of a secret behind.
pub(crate) fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<(&str, &str)> = pairs.into_iter().collect();
    let longest = |(name, value): &(&str, &str)| 3 * (name.len() + value.len()) + 2;
    let mut text = String::with_capacity(pairs.iter().map(longest).sum());
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.extend(utf8_percent_encode(name, RESERVED));
        text.push('=');
        text.extend(utf8_percent_encode(value, RESERVED));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::pairs;
    use proptest::prelude::*;
    use url::form_urlencoded;

    proptest! {
        #[test]
        fn form_decoders_read_what_was_written(list in proptest::collection::vec((".{1,10}", ".{0,30}"), 0..5)) {
            let text = pairs(list.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            let read: Vec<(String, String)> = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
            prop_assert_eq!(read, list);
        }
    }
}
