//! Who is at the other end of the connection.

use std::net::IpAddr;

/// In the extensions of every request that came over the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Address of the client; behind a trusted proxy, the address that proxy saw.
    pub address: IpAddr,
    /// Whether the client's own connection is encrypted.
    pub secure: bool,
}
