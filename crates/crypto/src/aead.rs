use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use keystead_types::{Rng, Secret};

/// Something could not be encrypted: only when it is larger than AES-GCM allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the cryptography library failed to encrypt")]
pub struct SealError;

/// Something could not be decrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    /// Too short, or of a format this version does not know.
    #[error("the sealed value has an unknown format")]
    Format,
    /// Sealed with a key that is not in the ring.
    #[error("the sealed value needs data key version {0}, which is not loaded")]
    UnknownKey(u32),
    /// Changed, moved to another place, or sealed with another key.
    #[error("the sealed value was changed, moved, or belongs to another key")]
    Refused,
}

/// AES-256-GCM with random nonces: at most 2^32 values per key (NIST SP 800-38D, section 8.3).
#[derive(Debug)]
pub(crate) struct Cipher(LessSafeKey);

impl Cipher {
    pub(crate) fn new(key: &Secret<[u8; 32]>) -> Result<Self, SealError> {
        let key = UnboundKey::new(&AES_256_GCM, key.expose()).map_err(|_| SealError)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Appends nonce, ciphertext and tag to `header`, which is authenticated with `context`.
    pub(crate) fn seal(
        &self,
        rng: &dyn Rng,
        header: Vec<u8>,
        context: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill(&mut nonce);
        // Room for the tag, so that growing never leaves a copy of the plain text behind.
        let mut body = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
        body.extend_from_slice(plain);
        let aad = Aad::from(crate::framed(&[&header, context]));
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .map_err(|_| SealError)?;
        let mut sealed = header;
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// Opens what [`Cipher::seal`] made; `rest` is all after the header.
    pub(crate) fn open(
        &self,
        header: &[u8],
        context: &[u8],
        rest: &[u8],
    ) -> Result<Secret<Vec<u8>>, OpenError> {
        let (nonce, body) = rest
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(OpenError::Format)?;
        if body.len() < AES_256_GCM.tag_len() {
            return Err(OpenError::Format);
        }
        let mut body = body.to_vec();
        let aad = Aad::from(crate::framed(&[header, context]));
        let length = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut body)
            .map_err(|_| OpenError::Refused)?
            .len();
        body.truncate(length);
        Ok(Secret::new(body))
    }
}
