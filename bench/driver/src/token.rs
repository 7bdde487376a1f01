//! Checks that a token answer holds a token signed with a published key.

use anyhow::{Context, Result, ensure};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use std::collections::HashMap;

/// Published keys by their id.
pub(crate) struct Keys(HashMap<String, RsaPublicKeyComponents<Vec<u8>>>);

impl Keys {
    pub(crate) fn parse(document: &[u8]) -> Result<Self> {
        let document: Value = serde_json::from_slice(document)?;
        let mut keys = HashMap::new();
        for key in document["keys"].as_array().context("a JWKS has keys")? {
            if key["kty"] == "RSA" {
                let part = |name: &str| -> Result<Vec<u8>> {
                    Ok(URL_SAFE_NO_PAD
                        .decode(key[name].as_str().context("an RSA key has n and e")?)?)
                };
                let id = key["kid"].as_str().context("a key has a kid")?.to_owned();
                keys.insert(
                    id,
                    RsaPublicKeyComponents {
                        n: part("n")?,
                        e: part("e")?,
                    },
                );
            }
        }
        ensure!(!keys.is_empty(), "the JWKS has no RSA key");
        Ok(Self(keys))
    }

    /// Checks the `access_token` of an answer.
    pub(crate) fn verify(&self, answer: &[u8]) -> Result<()> {
        let answer: Value = serde_json::from_slice(answer)?;
        let token = answer["access_token"].as_str().context("no access_token")?;
        let (signed, signature) = token.rsplit_once('.').context("not a JWT")?;
        let (header, claims) = signed.split_once('.').context("not a JWT")?;
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header)?)?;
        ensure!(header["alg"] == "RS256", "the algorithm is not RS256");
        let key = self
            .0
            .get(header["kid"].as_str().unwrap_or_default())
            .context("the kid is not published")?;
        let signature = URL_SAFE_NO_PAD.decode(signature)?;
        let verified = key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature);
        ensure!(verified.is_ok(), "the signature does not verify");
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
        ensure!(
            claims["exp"].as_i64() > claims["iat"].as_i64(),
            "the token does not live"
        );
        Ok(())
    }
}
