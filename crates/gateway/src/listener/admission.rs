//! How many connections may be open, all together and from one client.

use super::proxy::TrustedProxies;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};

/// SECURITY: one client cannot take all connections.
pub(super) struct Admission {
    max: usize,
    max_per_client: Option<NonZeroU32>,
    trusted_proxies: TrustedProxies,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    all: usize,
    clients: HashMap<IpAddr, u32>,
}

impl Admission {
    pub(super) fn new(
        max: usize,
        max_per_client: Option<NonZeroU32>,
        trusted_proxies: TrustedProxies,
    ) -> Self {
        Self {
            max,
            max_per_client,
            trusted_proxies,
            open: Arc::default(),
        }
    }

    /// Leave for one connection, held until the slot is dropped; `None` when a limit is reached.
    /// Trusted proxies speak for many clients, so only the limit of all connections holds for them.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Slot> {
        let address = address.to_canonical();
        let limit = self
            .max_per_client
            .filter(|_| !self.trusted_proxies.trust(address));
        let client = limit.map(|_| client(address));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= self.max {
            return None;
        }
        if let (Some(limit), Some(client)) = (limit, client) {
            let count = open.clients.get(&client).copied().unwrap_or_default();
            if count >= limit.get() {
                return None;
            }
            open.clients.insert(client, count + 1);
        }
        open.all += 1;
        Some(Slot {
            client,
            open: self.open.clone(),
        })
    }
}

/// One open connection.
pub(super) struct Slot {
    client: Option<IpAddr>,
    open: Arc<Mutex<Open>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        let Some(client) = self.client else { return };
        if let Some(count) = open.clients.get_mut(&client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.clients.remove(&client);
            }
        }
    }
}

/// Whoever has an IPv6 address usually has all of its /64.
fn client(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(max: usize, per_client: u32) -> Admission {
        let proxies = TrustedProxies(vec!["10.0.0.0/8".parse().unwrap()]);
        Admission::new(max, NonZeroU32::new(per_client), proxies)
    }

    fn admit(admission: &Admission, address: &str) -> Option<Slot> {
        admission.admit(address.parse().unwrap())
    }

    #[test]
    fn one_client_gets_its_share_and_gets_it_back() {
        let admission = admission(100, 2);
        for same in [
            ["192.0.2.1", "::ffff:192.0.2.1"],
            ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9"],
        ] {
            let first = admit(&admission, same[0]).unwrap();
            let second = admit(&admission, same[1]).unwrap();
            assert!(admit(&admission, same[0]).is_none());
            assert!(admit(&admission, "192.0.2.2").is_some());
            assert!(admit(&admission, "2001:db8:1:3::1").is_some());
            drop(first);
            let third = admit(&admission, same[1]).unwrap();
            assert!(admit(&admission, same[0]).is_none());
            drop((second, third));
        }
        assert_eq!(admission.open.lock().unwrap().all, 0);
        assert!(admission.open.lock().unwrap().clients.is_empty());
    }

    #[test]
    fn a_trusted_proxy_has_the_limit_of_all_connections_only() {
        let admission = admission(3, 1);
        let held: Vec<Slot> = (0..3)
            .map(|_| admit(&admission, "10.1.2.3").unwrap())
            .collect();
        assert!(admit(&admission, "10.1.2.3").is_none());
        assert!(admit(&admission, "192.0.2.1").is_none());
        drop(held);
        assert!(admit(&admission, "192.0.2.1").is_some());
    }

    #[test]
    fn without_a_share_only_the_sum_counts() {
        let admission = admission(2, 0);
        let _held = [
            admit(&admission, "192.0.2.1").unwrap(),
            admit(&admission, "192.0.2.1").unwrap(),
        ];
        assert!(admit(&admission, "192.0.2.2").is_none());
    }
}
