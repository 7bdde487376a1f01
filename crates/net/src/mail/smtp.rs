use super::{Mail, MailError, Mailer};
use futures_util::future::BoxFuture;
use keystead_types::Secret;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox as Address, MultiPart, SinglePart},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};
use std::{fmt, time::Duration};

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SmtpSecurity {
    /// TLS from the first byte (usually port 465).
    Tls,
    /// Plain start, then TLS; a server without it is refused (usually port 587).
    StartTls,
    /// No protection. For a relay on the same machine.
    None,
}

/// Where and as whom mail is sent.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// Host name of the server.
    pub host: String,
    /// Port of the server.
    pub port: u16,
    /// Protection of the connection.
    pub security: SmtpSecurity,
    /// User name and password, when the server wants them.
    pub credentials: Option<(String, Secret<String>)>,
    /// Sender, with or without a name: `Acme <no-reply@acme.test>`.
    pub from: String,
    /// A PEM root certificate trusted besides the system's own.
    pub extra_root: Option<Vec<u8>>,
}

/// Sends through an SMTP server; keeps connections open.
#[derive(Clone)]
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Address,
}

impl SmtpMailer {
    /// Sets the transport up; connects with the first message.
    ///
    /// # Errors
    /// [`MailError::Invalid`] when the sender or the certificate cannot be read.
    pub fn new(settings: SmtpSettings) -> Result<Self, MailError> {
        let invalid = |source: lettre::transport::smtp::Error| MailError::Invalid {
            source: source.into(),
        };
        let tls = match settings.security {
            SmtpSecurity::None => Tls::None,
            security => {
                let mut builder = TlsParameters::builder(settings.host.clone());
                if let Some(pem) = &settings.extra_root {
                    builder =
                        builder.add_root_certificate(Certificate::from_pem(pem).map_err(invalid)?);
                }
                let parameters = builder.build_rustls().map_err(invalid)?;
                if security == SmtpSecurity::Tls {
                    Tls::Wrapper(parameters)
                } else {
                    Tls::Required(parameters)
                }
            }
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host)
            .port(settings.port)
            .tls(tls)
            .timeout(Some(Duration::from_secs(10)));
        if let Some((user, password)) = settings.credentials {
            builder = builder.credentials(Credentials::new(user, password.expose().clone()));
        }
        Ok(Self {
            transport: builder.build(),
            from: address(&settings.from)?,
        })
    }

    fn message(&self, mail: Mail) -> Result<Message, MailError> {
        let builder = Message::builder()
            .from(self.from.clone())
            .to(address(&mail.to)?)
            .subject(mail.subject);
        let built = match mail.html {
            Some(html) => builder.multipart(MultiPart::alternative_plain_html(mail.text, html)),
            None => builder.singlepart(SinglePart::plain(mail.text)),
        };
        built.map_err(|error| MailError::Invalid {
            source: error.into(),
        })
    }
}

impl Mailer for SmtpMailer {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>> {
        Box::pin(async move {
            let message = self.message(mail)?;
            match self.transport.send(message).await {
                Ok(_) => Ok(()),
                Err(error) if error.is_permanent() => Err(MailError::Refused {
                    source: error.into(),
                }),
                Err(error) => Err(MailError::Unavailable {
                    source: error.into(),
                }),
            }
        })
    }
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmtpMailer")
    }
}

fn address(text: &str) -> Result<Address, MailError> {
    text.parse()
        .map_err(|error: lettre::address::AddressError| MailError::Invalid {
            source: error.into(),
        })
}
