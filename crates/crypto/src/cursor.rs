use crate::{RootKey, framed};
use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use keystead_types::EnvironmentId;
use std::fmt;

/// Bytes of the authentication code. 64 bits are enough here: guesses cost a request each, and
/// a forged cursor only names another position in a list the caller may read anyway.
const TAG_BYTES: usize = 8;

/// A page token that was changed, or belongs to another list, filter or environment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the page token does not belong to this list")]
pub struct InvalidCursor;

/// The list a page token is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CursorScope<'a> {
    /// Name of the list, such as `"connected_accounts"`, with its order and direction if it has several.
    pub list: &'static str,
    /// The tenant.
    pub environment: EnvironmentId,
    /// Canonical bytes of all filters; the same filters must give the same bytes.
    pub filter: &'a [u8],
}

/// Makes page tokens opaque and authentic. They are signed, not encrypted: the position must not
/// hold what the caller may not see.
#[derive(Clone)]
pub struct CursorKey(hmac::Key);

impl CursorKey {
    /// Derives the key.
    pub fn new(root: &RootKey) -> Self {
        Self(hmac::Key::new(
            hmac::HMAC_SHA256,
            root.subkey("page token").expose(),
        ))
    }

    /// Makes the token of a position. 16 bytes (a time and an id) give 32 characters, the most
    /// that account lists allow (AK-209).
    pub fn seal(&self, scope: &CursorScope<'_>, position: &[u8]) -> String {
        let mut bytes = position.to_vec();
        bytes.extend(self.code(scope, position).as_ref().iter().take(TAG_BYTES));
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Gives back the position.
    ///
    /// # Errors
    /// [`InvalidCursor`].
    pub fn open(&self, scope: &CursorScope<'_>, token: &str) -> Result<Vec<u8>, InvalidCursor> {
        let mut bytes = BASE64_URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_| InvalidCursor)?;
        let length = bytes.len().checked_sub(TAG_BYTES).ok_or(InvalidCursor)?;
        let tag = bytes.split_off(length);
        let code = self.code(scope, &bytes);
        let expected = code.as_ref().get(..TAG_BYTES).ok_or(InvalidCursor)?;
        verify_slices_are_equal(expected, &tag).map_err(|_| InvalidCursor)?;
        Ok(bytes)
    }

    fn code(&self, scope: &CursorScope<'_>, position: &[u8]) -> hmac::Tag {
        let environment = scope.environment.to_string();
        let parts = [
            scope.list.as_bytes(),
            environment.as_bytes(),
            scope.filter,
            position,
        ];
        hmac::sign(&self.0, &framed(&parts))
    }
}

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::{CursorKey, CursorScope, InvalidCursor};
    use crate::{RootKey, SystemRng};
    use keystead_types::{EnvironmentId, Id};
    use proptest::prelude::*;

    fn scope(environment: u64) -> CursorScope<'static> {
        CursorScope {
            list: "connected_accounts",
            environment: EnvironmentId::from_number(environment),
            filter: b"provider=GMAIL",
        }
    }

    /// AK-209.
    #[test]
    fn a_time_and_an_id_fit_32_characters() {
        let key = CursorKey::new(&RootKey::generate(&SystemRng));
        assert_eq!(key.seal(&scope(1), &[0xff; 16]).len(), 32);
    }

    #[test]
    fn tokens_of_other_lists_filters_environments_and_keys_are_refused() {
        let root = RootKey::generate(&SystemRng);
        let key = CursorKey::new(&root);
        let token = key.seal(&scope(1), b"position");
        assert_eq!(key.open(&scope(1), &token).unwrap(), b"position");
        for other in [
            scope(2),
            CursorScope {
                list: "connections",
                ..scope(1)
            },
            CursorScope {
                filter: b"",
                ..scope(1)
            },
        ] {
            assert_eq!(key.open(&other, &token), Err(InvalidCursor));
        }
        let stranger = CursorKey::new(&RootKey::generate(&SystemRng));
        assert_eq!(stranger.open(&scope(1), &token), Err(InvalidCursor));
    }

    proptest! {
        #[test]
        fn any_position_round_trips_and_any_change_is_noticed(
            position in proptest::collection::vec(any::<u8>(), 0..40),
            at in any::<proptest::sample::Index>(),
        ) {
            let key = CursorKey::new(&RootKey::parse(&"0123456789abcdef".repeat(4)).unwrap());
            let token = key.seal(&scope(1), &position);
            prop_assert_eq!(key.open(&scope(1), &token).unwrap(), position);

            let mut changed = token.into_bytes();
            let index = at.index(changed.len());
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            prop_assert_eq!(key.open(&scope(1), &changed), Err(InvalidCursor));
        }

        #[test]
        fn junk_is_refused(junk in ".{0,60}") {
            let key = CursorKey::new(&RootKey::parse(&"0123456789abcdef".repeat(4)).unwrap());
            prop_assert_eq!(key.open(&scope(1), &junk), Err(InvalidCursor));
        }
    }
}
