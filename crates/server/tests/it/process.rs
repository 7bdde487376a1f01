//! A started `keystead`, read line by line.

use reqwest::{Certificate, Client};
use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

/// Longer than any step may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command with nothing of this machine's own settings.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
    command.args(args).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KEYSTEAD_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub(crate) fn output(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

/// Everything a finished command said.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A running server; killed when the test fails.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    /// Everything it said so far.
    pub(crate) seen: Vec<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for stream in streams {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits for a line that holds `part` and gives it.
    pub(crate) fn wait_for(&mut self, part: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no line with {part:?} in:\n{}", self.seen.join("\n"));
            };
            self.seen.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Waits until it serves; gives the address of the server and of its admin listener.
    pub(crate) fn ready(&mut self) -> (String, String) {
        let line = self.wait_for("ready http");
        let admin = self
            .seen
            .iter()
            .find_map(|line| line.strip_prefix("admin "));
        (line.replace("ready ", ""), admin.unwrap().to_owned())
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end; gives the status and everything it said.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let end = Instant::now() + PATIENCE;
        // The streams close when the process ends.
        while let Ok(line) = self
            .lines
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            self.seen.push(line);
        }
        let ended = self.child.try_wait().unwrap();
        let said = self.seen.join("\n");
        let status = match ended {
            Some(status) => status,
            None if Instant::now() < end => self.child.wait().unwrap(),
            None => panic!("still running:\n{said}"),
        };
        (status, said)
    }

    /// Asks it to stop and expects that it ends well.
    pub(crate) fn stop(self) -> String {
        self.signal("TERM");
        let (status, said) = self.end();
        assert!(status.success(), "{status}\n{said}");
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `keystead dev` on a folder, on any free port.
pub(crate) fn dev(data: &Path, more: &[&str]) -> Command {
    let mut command = command(&["dev", "--port", "0", "--data"]);
    command.arg(data).args(more);
    command
}

/// The lines of `dev.env`.
pub(crate) fn env_file(data: &Path) -> HashMap<String, String> {
    let text = fs::read_to_string(data.join("dev.env")).unwrap();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// A client that trusts one certificate authority.
#[expect(clippy::disallowed_methods, reason = "a test plays an outside client")]
pub(crate) fn client(authority: Option<&Path>) -> Client {
    let builder = Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    let builder = match authority {
        Some(path) => {
            let pem = Certificate::from_pem(&fs::read(path).unwrap()).unwrap();
            builder.tls_certs_only([pem])
        }
        None => builder,
    };
    builder.build().unwrap()
}

/// The answer of the token endpoint to the client of `dev.env`.
pub(crate) async fn token(
    client: &Client,
    url: &str,
    env: &HashMap<String, String>,
) -> (u16, String) {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &env["SCALEKIT_CLIENT_ID"]),
        ("client_secret", &env["SCALEKIT_CLIENT_SECRET"]),
    ];
    let sent = client.post(format!("{url}/oauth/token")).form(&form).send();
    let response = sent.await.unwrap();
    let status = response.status().as_u16();
    let body: serde_json::Value = response.json().await.unwrap();
    let token = body["access_token"].as_str().unwrap_or_default();
    (status, token.to_owned())
}
