use keystead_net::mail::{Mail, MailError, Mailer, SmtpMailer, SmtpSecurity, SmtpSettings};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    task::JoinHandle,
};

/// A mail server for one conversation; gives the commands and the message it received.
async fn server(recipient_answer: &'static str) -> (u16, JoinHandle<(Vec<String>, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let conversation = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut tcp = BufReader::new(tcp);
        tcp.write_all(b"220 mail.test ESMTP\r\n").await.unwrap();
        let (mut commands, mut message, mut in_message) = (Vec::new(), String::new(), false);
        loop {
            let mut line = String::new();
            if tcp.read_line(&mut line).await.unwrap_or(0) == 0 {
                return (commands, message);
            }
            if in_message && line != ".\r\n" {
                message.push_str(&line);
                continue;
            }
            let verb = line.split([' ', '\r', ':']).next().unwrap().to_owned();
            let answer = match verb.as_str() {
                "EHLO" => "250-mail.test\r\n250 8BITMIME",
                "RCPT" => recipient_answer,
                "DATA" => "354 go on",
                "QUIT" => return (commands, message),
                _ => "250 ok",
            };
            in_message = verb == "DATA";
            commands.push(line.trim_end().to_owned());
            tcp.write_all(format!("{answer}\r\n").as_bytes())
                .await
                .unwrap();
            if commands.last().is_some_and(|last| last == ".") {
                return (commands, message);
            }
        }
    });
    (port, conversation)
}

fn mailer(port: u16, security: SmtpSecurity) -> SmtpMailer {
    SmtpMailer::new(SmtpSettings {
        host: "127.0.0.1".to_owned(),
        port,
        security,
        credentials: None,
        from: "Acme <no-reply@acme.test>".to_owned(),
        extra_root: None,
    })
    .unwrap()
}

fn mail(to: &str) -> Mail {
    Mail {
        to: to.to_owned(),
        subject: "Your code\r\nBcc: eve@evil.test".to_owned(),
        text: "Your code is 123456.".to_owned(),
        html: Some("<p>Your code is <b>123456</b>.</p>".to_owned()),
    }
}

#[tokio::test]
async fn a_message_goes_out_with_both_bodies_and_no_injected_header() {
    let (port, conversation) = server("250 ok").await;
    mailer(port, SmtpSecurity::None)
        .send(mail("ada@acme.test"))
        .await
        .unwrap();
    let (commands, message) = conversation.await.unwrap();
    assert!(
        commands
            .iter()
            .any(|line| line.starts_with("MAIL FROM:<no-reply@acme.test>")),
        "{commands:?}"
    );
    let recipients = commands
        .iter()
        .filter(|line| line.starts_with("RCPT"))
        .count();
    assert_eq!(recipients, 1);
    assert!(message.contains("multipart/alternative"), "{message}");
    assert!(
        message.contains("Your code is 123456.") && message.contains("<b>123456</b>"),
        "{message}"
    );
    assert!(
        !message.lines().any(|line| line.starts_with("Bcc")),
        "{message}"
    );
}

#[tokio::test]
async fn a_refused_recipient_is_final_and_a_busy_server_is_not() {
    let (port, _conversation) = server("550 no such user").await;
    let error = mailer(port, SmtpSecurity::None)
        .send(mail("ada@acme.test"))
        .await
        .unwrap_err();
    assert!(matches!(error, MailError::Refused { .. }), "{error:?}");
    let (port, _conversation) = server("451 later").await;
    let error = mailer(port, SmtpSecurity::None)
        .send(mail("ada@acme.test"))
        .await
        .unwrap_err();
    assert!(matches!(error, MailError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn nothing_is_sent_in_plain_when_tls_was_asked_for() {
    let (port, conversation) = server("250 ok").await;
    mailer(port, SmtpSecurity::StartTls)
        .send(mail("ada@acme.test"))
        .await
        .unwrap_err();
    let (commands, message) = conversation.await.unwrap();
    assert!(
        !commands.iter().any(|line| line.starts_with("MAIL")),
        "{commands:?}"
    );
    assert!(message.is_empty());
}

#[tokio::test]
async fn a_junk_address_is_refused_before_connecting() {
    let error = mailer(1, SmtpSecurity::None)
        .send(mail("not an address"))
        .await
        .unwrap_err();
    assert!(matches!(error, MailError::Invalid { .. }), "{error:?}");
}
