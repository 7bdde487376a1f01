use crate::{DataKey, OpenError, SealError, aead::Cipher, framed};
use keystead_types::{EnvironmentId, Rng, Secret};
use std::collections::HashMap;

const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 5;

/// Where a sealed value is stored. A value opens only at the place it was sealed for, so nobody
/// with write access to the database can swap credentials between rows (AK-750).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place<'a> {
    /// The tenant.
    pub environment: EnvironmentId,
    /// Name of the table.
    pub table: &'static str,
    /// Name of the column.
    pub column: &'static str,
    /// Primary key of the row, as text.
    pub row: &'a str,
}

impl Place<'_> {
    fn context(&self) -> Vec<u8> {
        let environment = self.environment.to_string();
        framed(&[
            environment.as_bytes(),
            self.table.as_bytes(),
            self.column.as_bytes(),
            self.row.as_bytes(),
        ])
    }
}

/// Data keys do not make a ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyringError {
    /// Two keys have the same version.
    #[error("two data keys have the version {0}")]
    DuplicateVersion(u32),
    /// The cryptography library refused a key.
    #[error("a data key was refused")]
    Refused(#[from] SealError),
}

/// The data keys of one environment: the primary one seals, all of them open.
#[derive(Debug)]
pub struct Keyring {
    primary: u32,
    cipher: Cipher,
    older: HashMap<u32, Cipher>,
}

impl Keyring {
    /// Prepares the keys; `older` are those that only open.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn new(primary: &DataKey, older: &[DataKey]) -> Result<Self, KeyringError> {
        let mut ciphers = HashMap::with_capacity(older.len());
        for key in older {
            let known = ciphers
                .insert(key.version, Cipher::new(&key.key)?)
                .is_some();
            if known || key.version == primary.version {
                return Err(KeyringError::DuplicateVersion(key.version));
            }
        }
        Ok(Self {
            primary: primary.version,
            cipher: Cipher::new(&primary.key)?,
            older: ciphers,
        })
    }

    /// Encrypts a value for one place: format, key version, nonce, ciphertext and tag (33 bytes more).
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(
        &self,
        rng: &dyn Rng,
        place: &Place<'_>,
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let mut header = Vec::with_capacity(plain.len() + 33);
        header.push(FORMAT);
        header.extend_from_slice(&self.primary.to_be_bytes());
        self.cipher.seal(rng, header, &place.context(), plain)
    }

    /// Decrypts a value read from `place`.
    ///
    /// # Errors
    /// [`OpenError`]; it never tells a changed value from a moved one.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Secret<Vec<u8>>, OpenError> {
        let version = version(sealed)?;
        let cipher = if version == self.primary {
            &self.cipher
        } else {
            self.older
                .get(&version)
                .ok_or(OpenError::UnknownKey(version))?
        };
        let (header, rest) = sealed
            .split_at_checked(HEADER_BYTES)
            .ok_or(OpenError::Format)?;
        cipher.open(header, &place.context(), rest)
    }

    /// Whether a value was sealed with an older key and should be sealed again.
    pub fn is_outdated(&self, sealed: &[u8]) -> bool {
        version(sealed) != Ok(self.primary)
    }
}

fn version(sealed: &[u8]) -> Result<u32, OpenError> {
    match sealed {
        [FORMAT, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => Err(OpenError::Format),
    }
}

#[cfg(test)]
mod tests {
    use super::{Keyring, KeyringError, Place};
    use crate::{DataKey, OpenError, SystemRng};
    use keystead_types::{EnvironmentId, Id};
    use proptest::prelude::*;

    fn place(environment: u64, row: &str) -> Place<'_> {
        Place {
            environment: EnvironmentId::from_number(environment),
            table: "connected_accounts",
            column: "credential",
            row,
        }
    }

    fn keyring() -> Keyring {
        Keyring::new(&DataKey::generate(&SystemRng, 1), &[]).unwrap()
    }

    /// AK-750.
    #[test]
    fn a_value_opens_only_where_it_was_sealed() {
        let ring = keyring();
        let here = place(1, "ca_1");
        let sealed = ring.seal(&SystemRng, &here, b"refresh token").unwrap();
        assert_eq!(
            ring.open(&here, &sealed).unwrap().expose(),
            b"refresh token"
        );
        let elsewhere = [
            place(2, "ca_1"),
            place(1, "ca_2"),
            Place {
                table: "connections",
                ..here
            },
            Place {
                column: "client_secret",
                ..here
            },
            // The same characters, cut differently.
            Place {
                table: "connected_accountsc",
                column: "redential",
                ..here
            },
        ];
        for other in elsewhere {
            assert_eq!(
                ring.open(&other, &sealed).unwrap_err(),
                OpenError::Refused,
                "{other:?}"
            );
        }
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let ring = keyring();
        let here = place(1, "ca_1");
        let sealed = ring.seal(&SystemRng, &here, b"value").unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 0x80;
            assert!(ring.open(&here, &changed).is_err(), "byte {index}");
            assert!(
                ring.open(&here, &sealed[..index]).is_err(),
                "cut at {index}"
            );
        }
    }

    #[test]
    fn older_keys_open_and_are_reported_as_outdated() {
        let (first, second) = (
            DataKey::generate(&SystemRng, 1),
            DataKey::generate(&SystemRng, 2),
        );
        let here = place(1, "ca_1");
        let sealed = Keyring::new(&first, &[])
            .unwrap()
            .seal(&SystemRng, &here, b"value")
            .unwrap();

        let rotated = Keyring::new(&second, std::slice::from_ref(&first)).unwrap();
        assert_eq!(rotated.open(&here, &sealed).unwrap().expose(), b"value");
        assert!(rotated.is_outdated(&sealed));
        assert!(!rotated.is_outdated(&rotated.seal(&SystemRng, &here, b"value").unwrap()));

        let forgotten = Keyring::new(&second, &[]).unwrap();
        assert_eq!(
            forgotten.open(&here, &sealed).unwrap_err(),
            OpenError::UnknownKey(1)
        );
        let twice = Keyring::new(&second, std::slice::from_ref(&second));
        assert_eq!(twice.unwrap_err(), KeyringError::DuplicateVersion(2));
    }

    #[test]
    fn the_same_value_never_looks_the_same_twice() {
        let ring = keyring();
        let here = place(1, "ca_1");
        let seal = || ring.seal(&SystemRng, &here, b"value").unwrap();
        assert_ne!(seal(), seal());
        assert_eq!(seal().len(), 5 + 33);
    }

    proptest! {
        #[test]
        fn any_bytes_round_trip(plain in proptest::collection::vec(any::<u8>(), 0..300), row in ".{0,40}") {
            let ring = keyring();
            let sealed = ring.seal(&SystemRng, &place(1, &row), &plain).unwrap();
            let opened = ring.open(&place(1, &row), &sealed).unwrap();
            prop_assert_eq!(opened.expose(), &plain);
        }

        #[test]
        fn junk_never_opens(junk in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(keyring().open(&place(1, "ca_1"), &junk).is_err());
        }
    }
}
