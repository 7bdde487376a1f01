use aws_lc_rs::digest::{SHA256, digest};

/// SHA-256 of some bytes, to tell whether they are the ones that somebody vouched for. Not for
/// secrets: see [`crate::TokenHasher`].
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    /// FIPS 180-2, appendix B.1.
    #[test]
    fn the_example_of_the_standard() {
        let hash = super::sha256(b"abc");
        assert_eq!(hash[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(hash[28..], [0xf2, 0x00, 0x15, 0xad]);
    }
}
