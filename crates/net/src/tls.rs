use crate::SetupError;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::sync::Arc;

/// Reads all certificates of a PEM file, for [`Settings::extra_roots`](crate::Settings).
///
/// # Errors
/// [`SetupError::Certificate`] when the text holds no certificate or a broken one.
pub fn certificates_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(SetupError::Certificate {
            source: "no certificate found".into(),
        }),
        Ok(found) => Ok(found),
        Err(error) => Err(SetupError::Certificate {
            source: error.into(),
        }),
    }
}

/// Trusts the system's roots (Mozilla's where the system has none) and `extra`.
pub(crate) fn client_config(
    extra: &[CertificateDer<'static>],
) -> Result<Arc<ClientConfig>, SetupError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    if !system.errors.is_empty() {
        tracing::warn!(
            errors = system.errors.len(),
            "some of the system's root certificates could not be read"
        );
    }
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for certificate in extra {
        roots
            .add(certificate.clone())
            .map_err(|error| SetupError::Certificate {
                source: error.into(),
            })?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|source| SetupError::Tls { source })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
