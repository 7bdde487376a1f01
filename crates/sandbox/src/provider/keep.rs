//! Keeps clients, grants and tokens in a file, so that accounts of `dev` outlive a restart.

use super::{Provider, State, grants::Grants, oauth1};
use axum::{
    extract::{Request, State as Shared},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::Mutex;

/// What is kept. Tokens of OAuth 2.0 are hashes; log, chaos and begun flows of OAuth 1.0a are not kept.
#[derive(Default, Deserialize)]
pub(super) struct Kept {
    pub(super) grants: Grants,
    pub(super) oauth1: oauth1::Credentials,
}

#[derive(Serialize)]
struct Keeping<'a> {
    grants: &'a Grants,
    oauth1: &'a oauth1::Credentials,
}

/// The file, and the last change that is in it.
#[derive(Debug)]
pub(super) struct Keeper {
    path: PathBuf,
    written: Mutex<u64>,
}

impl Keeper {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            written: Mutex::default(),
        }
    }

    /// What the file holds. One that cannot be read is put aside: everything then begins anew.
    pub(super) fn read(&self) -> Kept {
        let path = self.path.display();
        let parsed = match fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Kept::default(),
            Err(error) => Err(error),
        };
        parsed.unwrap_or_else(|error| {
            // Not the parser's words: they may quote a secret.
            let kind = error.kind();
            tracing::warn!(%path, %kind, "the sandbox's file is damaged: its provider forgot all grants");
            let aside = self.path.with_extension("damaged");
            if let Err(error) = fs::rename(&self.path, aside) {
                tracing::warn!(%path, %error, "the damaged file cannot be put aside");
            }
            Kept::default()
        })
    }

    /// Writes the present state unless somebody else did so since `change`: requests that come together
    /// share a write.
    async fn write(&self, provider: &Provider, change: u64) -> io::Result<()> {
        let mut written = self.written.lock().await;
        if *written >= change {
            return Ok(());
        }
        let (change, text) = {
            let state = provider.state();
            let State { grants, oauth1, .. } = &*state;
            (
                grants.changes(),
                serde_json::to_vec(&Keeping { grants, oauth1 })?,
            )
        };
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || replace(&path, &text))
            .await
            .map_err(io::Error::other)??;
        *written = change;
        Ok(())
    }
}

/// What an answer promises is in the file before the answer leaves: a process that is killed after it
/// must still know the tokens it gave.
pub(super) async fn before_answering(
    Shared((provider, keeper)): Shared<(Provider, Arc<Keeper>)>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let change = provider.state().grants.changes();
    match keeper.write(&provider, change).await {
        Ok(()) => response,
        Err(error) => {
            let path = keeper.path.display();
            tracing::error!(%path, %error, "the sandbox's grants cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Puts a private file in the place of the old one: whoever reads sees one of both, whole.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// Times as microseconds.
pub(super) mod micros {
    use keystead_types::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands over a reference"
    )]
    pub(crate) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.as_micros())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_micros)
    }
}

/// Maps by SHA-256, with keys in hexadecimal.
pub(super) mod by_hash {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use std::collections::HashMap;

    pub(crate) fn serialize<T: Serialize, S: Serializer>(
        map: &HashMap<[u8; 32], T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(map.iter().map(|(hash, value)| (hex::encode(hash), value)))
    }

    pub(crate) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<HashMap<[u8; 32], T>, D::Error> {
        let entry = |(key, value): (String, T)| {
            let mut hash = [0; 32];
            hex::decode_to_slice(key, &mut hash).map_err(D::Error::custom)?;
            Ok((hash, value))
        };
        let map = HashMap::<String, T>::deserialize(from)?;
        map.into_iter().map(entry).collect()
    }
}
