//! A name for every request, so that a caller and a log line can be brought together.

use http::{HeaderMap, HeaderName};
use keystead_types::Rng;

/// Header that carries it both ways.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The request id, in the extensions of every request that reaches a method.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestId(pub String);

/// Takes the caller's id when it is harmless in a log line, else makes one.
pub(crate) fn read(headers: &HeaderMap, rng: &dyn Rng) -> RequestId {
    let given = headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    RequestId(
        given
            .filter(|text| sane(text))
            .map_or_else(|| generate(rng), str::to_owned),
    )
}

fn sane(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

fn generate(rng: &dyn Rng) -> String {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes);
    format!("req_{:032x}", u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Sevens;
    impl Rng for Sevens {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(7);
        }
    }

    #[test]
    fn a_sane_id_is_kept_and_others_are_replaced() {
        let id = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, text.parse().unwrap());
            read(&headers, &Sevens).0
        };
        assert_eq!(id("0f8e-42.a:b_C"), "0f8e-42.a:b_C");
        let made = "req_07070707070707070707070707070707";
        assert_eq!(id(""), made);
        assert_eq!(id("a b"), made);
        assert_eq!(id(&"x".repeat(65)), made);
        assert_eq!(read(&HeaderMap::new(), &Sevens).0, made);
    }
}
