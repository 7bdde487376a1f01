//! The public contract: generated messages, services and the descriptor pool.
//!
//! The `.proto` files in `proto/` are the single definition of the wire: gRPC stubs, REST routes,
//! permissions, validation and the OpenAPI document all come from them. This crate holds no
//! behaviour. It is visible to `api`, `gateway`, `web` and `testkit` only.

mod explicit;

pub use explicit::ExplicitFields;

use prost_reflect::DescriptorPool;
use std::sync::LazyLock;

#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    reason = "generated code"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/contract.rs"));
}

/// What this server offers beyond the contract of the official client libraries.
pub use generated::keystead::v1 as extensions;
pub use generated::scalekit::v1;
pub use generated::{buf::validate, google::protobuf as wrappers};

/// The contract as an encoded `FileDescriptorSet`, with options.
pub static DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The doc comments of the contract: an encoded `FileDescriptorSet` whose files have nothing but a
/// name and the locations with leading comments.
pub static COMMENTS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/comments.bin"));

/// Every message, service and option of the contract, for reflection.
#[expect(
    clippy::expect_used,
    reason = "the bytes are made by this crate's build script; a test decodes them"
)]
pub static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("contract descriptors decode"));

#[cfg(test)]
mod tests {
    use super::POOL;

    #[test]
    fn the_pool_holds_every_service_and_method() {
        let of = |package: &str| {
            let services = POOL
                .services()
                .filter(|service| service.full_name().starts_with(package));
            let (mut count, mut methods) = (0, 0);
            for service in services {
                count += usize::from(service.name() != "Dummy");
                methods += service.methods().count();
            }
            (count, methods)
        };
        assert_eq!(of("scalekit."), (35, 444));
        assert_eq!(of("keystead."), (3, 11));
    }
}
