use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What an address is good for, as far as outbound requests care (RFC 6890 and its registries).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AddressClass {
    /// Reachable from anywhere.
    Public,
    /// This machine.
    Loopback,
    /// Private use (RFC 1918, unique local).
    Private,
    /// Shared space behind carrier NAT (RFC 6598).
    CarrierNat,
    /// One link only; cloud metadata services live here.
    LinkLocal,
    /// A cloud metadata or host agent service outside link-local space.
    Metadata,
    /// Groups and broadcast.
    Multicast,
    /// "This host": many systems connect to loopback for it.
    Unspecified,
    /// Documentation examples.
    Documentation,
    /// Anything else that is not global unicast.
    Reserved,
}

impl AddressClass {
    /// Classifies an address; forms that carry an IPv4 address are judged by it.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => of_v6(v6),
        }
    }

    /// An operator who names an internal *host* may mean these; link-local, metadata and the like
    /// take an explicit network, so that a DNS answer alone never leads there.
    pub(crate) const fn is_internal(self) -> bool {
        matches!(self, Self::Loopback | Self::Private | Self::CarrierNat)
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::CarrierNat => "carrier-grade NAT",
            Self::LinkLocal => "link-local",
            Self::Metadata => "metadata service",
            Self::Multicast => "multicast",
            Self::Unspecified => "unspecified",
            Self::Documentation => "documentation",
            Self::Reserved => "reserved",
        })
    }
}

fn of_v4(address: Ipv4Addr) -> AddressClass {
    use AddressClass as C;
    match address.octets() {
        [0, ..] => C::Unspecified,
        [127, ..] => C::Loopback,
        // Alibaba Cloud, Oracle Cloud and Azure serve metadata outside link-local space.
        [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => C::Metadata,
        [10, ..] | [192, 168, ..] => C::Private,
        [172, b, ..] if b & 0xf0 == 16 => C::Private,
        [100, b, ..] if b & 0xc0 == 64 => C::CarrierNat,
        [169, 254, ..] => C::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => C::Documentation,
        // Protocol assignments, 6to4 relay anycast, benchmarking.
        [192, 0, 0, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => C::Reserved,
        [255, 255, 255, 255] => C::Multicast,
        [a, ..] if a & 0xf0 == 224 => C::Multicast,
        [a, ..] if a >= 240 => C::Reserved,
        _ => C::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> AddressClass {
    use AddressClass as C;
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => C::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => C::Loopback,
        // IPv4-mapped, and NAT64 (RFC 6052): the only way out of an IPv6-only network.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            of_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        [0xfc00..=0xfdff, ..] => C::Private,
        // Link-local and the former site-local space.
        [0xfe80..=0xfeff, ..] => C::LinkLocal,
        [0xff00..=0xffff, ..] => C::Multicast,
        [0x2001, 0xdb8, ..] => C::Documentation,
        [0x3fff, b, ..] if b < 0x1000 => C::Documentation,
        // Teredo, ORCHID and other protocol assignments; 6to4 (deprecated, hides an IPv4 address).
        [0x2001, b, ..] if b < 0x200 => C::Reserved,
        [0x2002, ..] => C::Reserved,
        [0x2000..=0x3fff, ..] => C::Public,
        // IPv4-compatible, local NAT64, discard-only, segment routing, unassigned.
        _ => C::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressClass as C, *};
    use ipnet::IpNet;
    use proptest::prelude::*;

    fn class(text: &str) -> C {
        C::of(text.parse().unwrap())
    }

    /// Part of AK-470
    #[test]
    fn every_special_range_is_recognised_at_both_ends() {
        let table = [
            ("0.0.0.0/8", C::Unspecified),
            ("10.0.0.0/8", C::Private),
            ("100.64.0.0/10", C::CarrierNat),
            ("127.0.0.0/8", C::Loopback),
            ("169.254.0.0/16", C::LinkLocal),
            ("172.16.0.0/12", C::Private),
            ("192.0.0.0/24", C::Reserved),
            ("192.0.2.0/24", C::Documentation),
            ("192.88.99.0/24", C::Reserved),
            ("192.168.0.0/16", C::Private),
            ("198.18.0.0/15", C::Reserved),
            ("198.51.100.0/24", C::Documentation),
            ("203.0.113.0/24", C::Documentation),
            ("224.0.0.0/4", C::Multicast),
            ("::ffff:127.0.0.0/104", C::Loopback),
            ("::ffff:10.0.0.0/104", C::Private),
            ("64:ff9b::169.254.0.0/112", C::LinkLocal),
            ("64:ff9b:1::/48", C::Reserved),
            ("100::/64", C::Reserved),
            ("2001::/32", C::Reserved),
            ("2001:20::/28", C::Reserved),
            ("2001:db8::/32", C::Documentation),
            ("2002::/16", C::Reserved),
            ("3fff::/20", C::Documentation),
            ("4000::/2", C::Reserved),
            ("fc00::/7", C::Private),
            ("fe80::/10", C::LinkLocal),
            ("fec0::/10", C::LinkLocal),
            ("ff00::/8", C::Multicast),
        ];
        for (net, expected) in table {
            let net: IpNet = net.parse().unwrap();
            assert_eq!(C::of(net.network()), expected, "first of {net}");
            assert_eq!(C::of(net.broadcast()), expected, "last of {net}");
        }
    }

    #[test]
    fn single_addresses_and_neighbours_of_ranges() {
        for (text, expected) in [
            ("255.255.255.255", C::Multicast),
            ("240.0.0.1", C::Reserved),
            ("100.100.100.200", C::Metadata),
            ("192.0.0.192", C::Metadata),
            ("168.63.129.16", C::Metadata),
            ("::", C::Unspecified),
            ("::1", C::Loopback),
            ("::127.0.0.1", C::Reserved),
            ("fd00:ec2::254", C::Private),
            ("2002:7f00:1::", C::Reserved),
            ("64:ff9b::8.8.8.8", C::Public),
            ("::ffff:8.8.8.8", C::Public),
            ("9.255.255.255", C::Public),
            ("11.0.0.0", C::Public),
            ("100.63.255.255", C::Public),
            ("100.128.0.0", C::Public),
            ("126.255.255.255", C::Public),
            ("128.0.0.0", C::Public),
            ("172.15.255.255", C::Public),
            ("172.32.0.0", C::Public),
            ("198.17.255.255", C::Public),
            ("198.20.0.0", C::Public),
            ("223.255.255.255", C::Public),
            ("2001:200::1", C::Public),
            ("2606:4700::1111", C::Public),
        ] {
            assert_eq!(class(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_mapped_address_is_judged_as_its_ipv4_form(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(C::of(v4.to_ipv6_mapped().into()), C::of(v4.into()));
        }

        #[test]
        fn only_global_unicast_is_public(bits: u128) {
            let v6 = Ipv6Addr::from_bits(bits);
            if C::of(v6.into()) == C::Public {
                let embedded = bits >> 32 == 0xffff || bits >> 32 == 0x64_ff9b << 64;
                prop_assert!(bits >> 125 == 1 || embedded);
            }
        }

        #[test]
        fn the_standard_library_agrees_on_what_it_knows(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            if v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified() {
                prop_assert_ne!(C::of(v4.into()), C::Public);
            }
        }
    }
}
