//! One HTTP/1.1 connection, plain or TLS.

use crate::request::Origin;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{path::Path, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// Opens connections to one server.
#[derive(Clone)]
pub(crate) struct Connector {
    origin: Origin,
    tls: Option<TlsConnector>,
}

/// An open connection.
pub(crate) struct Connection(http1::SendRequest<Full<Bytes>>);

impl Connector {
    pub(crate) fn new(origin: &Origin, ca: Option<&Path>) -> Result<Self> {
        let tls = if origin.tls {
            let mut roots = RootCertStore::empty();
            let Some(ca) = ca else {
                bail!("--ca is needed for https")
            };
            for certificate in CertificateDer::pem_file_iter(ca).context("read --ca")? {
                roots.add(certificate?)?;
            }
            let mut config = ClientConfig::builder()
                .with_root_certificates(roots)
                .with_no_client_auth();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Some(TlsConnector::from(Arc::new(config)))
        } else {
            None
        };
        Ok(Self {
            origin: origin.clone(),
            tls,
        })
    }

    pub(crate) async fn open(&self) -> Result<Connection> {
        // Everything is on loopback, and the name may have an IPv6 address nobody listens on.
        let host = if self.origin.host == "localhost" {
            "127.0.0.1"
        } else {
            &self.origin.host
        };
        let stream = TcpStream::connect((host, self.origin.port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => handshake(stream).await,
            Some(tls) => {
                let name = ServerName::try_from(self.origin.host.clone())?;
                handshake(tls.connect(name, stream).await?).await
            }
        }
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Connection> {
    let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    Ok(Connection(sender))
}

impl Connection {
    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes)> {
        self.0.ready().await?;
        let response = self.0.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    /// Whether the server ended the connection.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}
