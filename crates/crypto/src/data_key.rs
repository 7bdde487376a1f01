use crate::{OpenError, RootKey, SealError, aead::Cipher};
use keystead_types::{EnvironmentId, Rng, Secret};
use zeroize::Zeroizing;

const FORMAT: u8 = 1;

/// One version of an environment's data encryption key (AK-750).
#[derive(Clone, Debug)]
pub struct DataKey {
    /// Counts up with each rotation, from 1; stored in front of every value sealed with the key.
    pub version: u32,
    /// The AES-256 key.
    pub key: Secret<[u8; 32]>,
}

impl DataKey {
    /// Makes a new key.
    pub fn generate(rng: &dyn Rng, version: u32) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill(bytes.as_mut());
        Self {
            version,
            key: Secret::new(*bytes),
        }
    }

    /// Encrypts the key under the root key, for this environment only. The version is readable.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn wrap(
        &self,
        rng: &dyn Rng,
        root: &RootKey,
        environment: EnvironmentId,
    ) -> Result<Vec<u8>, SealError> {
        let mut header = vec![FORMAT];
        header.extend_from_slice(&self.version.to_be_bytes());
        wrapping_cipher(root, environment)?.seal(rng, header, b"data key", self.key.expose())
    }

    /// Reverses [`DataKey::wrap`].
    ///
    /// # Errors
    /// [`OpenError::Refused`] when the root key or the environment is another.
    pub fn unwrap(
        root: &RootKey,
        environment: EnvironmentId,
        wrapped: &[u8],
    ) -> Result<Self, OpenError> {
        let (header, rest) = wrapped.split_at_checked(5).ok_or(OpenError::Format)?;
        let [FORMAT, version @ ..] = header else {
            return Err(OpenError::Format);
        };
        let version = u32::from_be_bytes(version.try_into().map_err(|_| OpenError::Format)?);
        let cipher = wrapping_cipher(root, environment).map_err(|SealError| OpenError::Refused)?;
        let key = cipher.open(header, b"data key", rest)?;
        let key: Zeroizing<[u8; 32]> = Zeroizing::new(
            key.expose()
                .as_slice()
                .try_into()
                .map_err(|_| OpenError::Format)?,
        );
        Ok(Self {
            version,
            key: Secret::new(*key),
        })
    }
}

/// Each environment has a wrapping key of its own, so a wrapped key copied to another one is useless.
fn wrapping_cipher(root: &RootKey, environment: EnvironmentId) -> Result<Cipher, SealError> {
    Cipher::new(&root.subkey(&format!("data key wrap/{environment}")))
}

#[cfg(test)]
mod tests {
    use super::DataKey;
    use crate::{OpenError, RootKey, SystemRng};
    use keystead_types::{EnvironmentId, Id};

    #[test]
    fn a_wrapped_key_opens_only_with_its_root_key_and_environment() {
        let (root, other) = (RootKey::generate(&SystemRng), RootKey::generate(&SystemRng));
        let (here, there) = (EnvironmentId::from_number(1), EnvironmentId::from_number(2));
        let key = DataKey::generate(&SystemRng, 3);
        let wrapped = key.wrap(&SystemRng, &root, here).unwrap();

        let opened = DataKey::unwrap(&root, here, &wrapped).unwrap();
        assert_eq!((opened.version, opened.key), (3, key.key));
        assert_eq!(
            DataKey::unwrap(&other, here, &wrapped).unwrap_err(),
            OpenError::Refused
        );
        assert_eq!(
            DataKey::unwrap(&root, there, &wrapped).unwrap_err(),
            OpenError::Refused
        );
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let root = RootKey::generate(&SystemRng);
        let environment = EnvironmentId::from_number(1);
        let wrapped = DataKey::generate(&SystemRng, 1)
            .wrap(&SystemRng, &root, environment)
            .unwrap();
        for index in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[index] ^= 1;
            assert!(
                DataKey::unwrap(&root, environment, &changed).is_err(),
                "byte {index}"
            );
            assert!(
                DataKey::unwrap(&root, environment, &wrapped[..index]).is_err(),
                "cut at {index}"
            );
        }
    }
}
