//! What the commands say to the person at the terminal. Logs go to standard error, answers to
//! standard output.

use std::io::Write;

/// Writes one line to standard output, at once: programs wait for some of them.
pub(crate) fn line(text: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    // Nobody may be listening any more; that is no reason to stop.
    let _ = writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush());
}

/// Writes an error with its causes to standard error.
pub(crate) fn error(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr(), "keystead: {error:#}");
}
