//! The local certificate authority of `dev`.

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Files of the local certificate authority and the certificate it issued.
pub(crate) struct LocalCertificate {
    /// The authority's certificate.
    pub(crate) ca: PathBuf,
    /// Certificate chain of `localhost`.
    pub(crate) chain: PathBuf,
    /// Its private key.
    pub(crate) key: PathBuf,
    /// The system's roots and ours in one file, for clients that take only one.
    pub(crate) bundle: PathBuf,
}

/// Where Debian keeps the system's roots.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Makes the files in `folder` unless they exist.
pub(crate) fn ensure(folder: &Path) -> Result<LocalCertificate> {
    let files = LocalCertificate {
        ca: folder.join("ca.pem"),
        chain: folder.join("localhost.pem"),
        key: folder.join("localhost.key"),
        bundle: folder.join("ca-bundle.pem"),
    };
    if files.ca.is_file() && files.chain.is_file() && files.key.is_file() && files.bundle.is_file()
    {
        return Ok(files);
    }
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let ca_key = KeyPair::generate().context("make the local authority's key")?;
    let mut ca = CertificateParams::default();
    ca.distinguished_name
        .push(DnType::CommonName, "Keystead development CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_certificate = ca
        .self_signed(&ca_key)
        .context("sign the local authority")?;
    let issuer = Issuer::from_params(&ca, &ca_key);

    let key = KeyPair::generate().context("make the server key")?;
    let mut leaf = CertificateParams::new(vec![
        "localhost".to_owned(),
        "*.localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ])
    .context("name the server certificate")?;
    leaf.distinguished_name
        .push(DnType::CommonName, "localhost");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let certificate = leaf
        .signed_by(&key, &issuer)
        .context("sign the server certificate")?;

    let ca_pem = ca_certificate.pem();
    let mut bundle = fs::read_to_string(SYSTEM_ROOTS).unwrap_or_default();
    bundle.push_str(&ca_pem);
    // The authority's key is dropped here: nothing else can ever be signed with it.
    write_private(&files.key, key.serialize_pem().as_bytes())?;
    fs::write(&files.chain, certificate.pem())?;
    fs::write(&files.bundle, bundle)?;
    fs::write(&files.ca, ca_pem)?;
    Ok(files)
}

/// Writes a file that only its owner can read.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("write {}", path.display()))?;
    file.write_all(content)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_certificate_is_made_once_and_its_key_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = ensure(folder.path()).unwrap();
        let chain = fs::read(&first.chain).unwrap();
        let again = ensure(folder.path()).unwrap();
        assert_eq!(fs::read(&again.chain).unwrap(), chain);
        let mode = fs::metadata(&again.key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(
            fs::read_to_string(&again.bundle)
                .unwrap()
                .contains(&fs::read_to_string(&again.ca).unwrap())
        );
    }
}
