//! The server certificate, exchanged while running.

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio_rustls::TlsAcceptor;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file could not be read.
    #[error("{path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not PEM, or not what was expected in it.
    #[error("the certificate or key is not valid PEM: {0}")]
    Pem(rustls::pki_types::pem::Error),
    /// Certificate and key do not fit, or are of an unknown kind.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// A certificate chain and its key, read from two PEM files.
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: RwLock<(Vec<u8>, Arc<CertifiedKey>)>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// [`CertificateError`] when they cannot be read or do not fit each other.
    pub async fn load(chain: PathBuf, key: PathBuf) -> Result<Self, CertificateError> {
        let (pem, certified) = read(&chain, &key).await?;
        Ok(Self {
            chain,
            key,
            current: RwLock::new((pem, Arc::new(certified))),
        })
    }

    /// Reads the files again; new connections get the new certificate. `false` when the chain has
    /// not changed.
    ///
    /// # Errors
    /// As [`Self::load`]; the former certificate stays in use.
    pub async fn reload(&self) -> Result<bool, CertificateError> {
        let (pem, certified) = read(&self.chain, &self.key).await?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.0 == pem {
            return Ok(false);
        }
        *current = (pem, Arc::new(certified));
        Ok(true)
    }

    /// Looks for a new certificate every `period`, for ever.
    pub async fn watch(self: Arc<Self>, period: Duration) {
        loop {
            tokio::time::sleep(period).await;
            match self.reload().await {
                Ok(true) => tracing::info!(chain = %self.chain.display(), "certificate reloaded"),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "the certificate was not reloaded, the former one stays in use");
                }
            }
        }
    }
}

async fn read(chain: &PathBuf, key: &PathBuf) -> Result<(Vec<u8>, CertifiedKey), CertificateError> {
    let bytes = async |path: &PathBuf| {
        let read = tokio::fs::read(path).await;
        read.map_err(|source| CertificateError::Read {
            path: path.clone(),
            source,
        })
    };
    let pem = bytes(chain).await?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(CertificateError::Pem)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes(key).await?).map_err(CertificateError::Pem)?;
    let certified = CertifiedKey::from_der(certificates, key, &aws_lc_rs::default_provider())?;
    Ok((pem, certified))
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(
            self.current
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .1
                .clone(),
        )
    }
}

pub(super) fn acceptor(certificate: Arc<Certificate>) -> Result<TlsAcceptor, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
