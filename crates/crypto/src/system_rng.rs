use keystead_types::Rng;

/// The operating system's randomness. Only `server` and tests construct one.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn fill(&self, buffer: &mut [u8]) {
        if aws_lc_rs::rand::fill(buffer).is_err() {
            // SECURITY: going on would hand out predictable keys; nothing can be served without
            // randomness.
            std::process::abort();
        }
    }
}
