//! What a server process used: CPU time and memory, from /proc.

use anyhow::{Context, Result};
use std::{fs, time::Duration};

/// Clock ticks per second of /proc; the same on every Linux that is in use.
const TICKS: u64 = 100;

/// CPU time of a process with all its threads, user and system.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let text =
        fs::read_to_string(format!("/proc/{pid}/stat")).context("the server process is gone")?;
    // The name is in parentheses and may hold anything, also a closing one.
    let fields: Vec<&str> = text
        .rsplit_once(')')
        .context("/proc/PID/stat")?
        .1
        .split_whitespace()
        .collect();
    let ticks =
        |index: usize| -> Result<u64> { Ok(fields.get(index).context("/proc/PID/stat")?.parse()?) };
    Ok(Duration::from_millis(
        (ticks(11)? + ticks(12)?) * 1000 / TICKS,
    ))
}

/// Resident memory in MB, now (`VmRSS`) or at most (`VmHWM`).
pub(crate) fn memory_mb(pid: u32, field: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .context("/proc/PID/status")?;
    let kilobytes = line
        .trim_start_matches(':')
        .trim()
        .trim_end_matches("kB")
        .trim();
    Ok(kilobytes.parse::<f64>()? / 1024.0)
}

/// CPU time of several processes together.
pub(crate) fn cpu_of_all(pids: &[u32]) -> Result<Duration> {
    pids.iter().map(|pid| cpu(*pid)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_has_used_memory_and_time() {
        let own = std::process::id();
        let before = cpu(own).unwrap();
        let start = std::time::Instant::now();
        let mut number = 1_u64;
        while start.elapsed() < Duration::from_millis(200) {
            number = std::hint::black_box(number.wrapping_mul(31));
        }
        assert!(cpu(own).unwrap() > before);
        assert!(memory_mb(own, "VmRSS").unwrap() > 1.0);
        assert!(cpu(u32::MAX).is_err());
    }
}
