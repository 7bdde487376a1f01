//! Between the messages of the contract and the types of the domain. Nothing is decided here.

pub(crate) mod clients;
pub(crate) mod connected_accounts;
pub(crate) mod connection_settings;
pub(crate) mod connections;
pub(crate) mod environments;
pub(crate) mod members;
pub(crate) mod organizations;
pub(crate) mod providers;
pub(crate) mod structs;
pub(crate) mod workspaces;

use keystead_identity::Region;
use keystead_proto::v1::commons::RegionCode;
use keystead_types::Timestamp;

/// A moment.
#[expect(clippy::unnecessary_wraps, reason = "message fields are optional")]
pub(crate) fn time(at: Timestamp) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp {
        seconds: at.as_secs(),
        nanos: at.subsec_nanos(),
    })
}

/// A region; `None` when the caller leaves it open.
pub(crate) fn region(code: i32) -> Option<Region> {
    match RegionCode::try_from(code) {
        Ok(RegionCode::Us) => Some(Region::Us),
        Ok(RegionCode::Eu) => Some(Region::Eu),
        _ => None,
    }
}

/// A region as the contract numbers it.
pub(crate) const fn region_code(region: Region) -> i32 {
    match region {
        Region::Us => RegionCode::Us as i32,
        Region::Eu => RegionCode::Eu as i32,
    }
}

/// The length of a list as the contract counts it.
pub(crate) fn total(total_size: u64) -> u32 {
    u32::try_from(total_size).unwrap_or(u32::MAX)
}
