use crate::{AddressClass, Blocked};
use ipnet::IpNet;
use std::{fmt, net::IpAddr, str::FromStr};

/// Which targets outbound requests may reach. The default is the strict one: https to public
/// addresses.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Policy {
    /// Lets plain http through. Meant for development.
    pub allow_http: bool,
    /// Networks that may be reached although they are not public.
    pub allowed: Vec<IpNet>,
    /// Hosts that may resolve to private or loopback addresses. Link-local and metadata addresses
    /// stay closed: they take an entry in `allowed`.
    pub allowed_hosts: Vec<HostPattern>,
}

impl Policy {
    /// What `dev` uses: plain http and loopback are open.
    pub fn development() -> Self {
        let loopback = [
            IpAddr::from([127, 0, 0, 0]),
            IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        ];
        let nets = loopback
            .into_iter()
            .zip([8, 128])
            .filter_map(|(ip, bits)| IpNet::new(ip, bits).ok());
        Self {
            allow_http: true,
            allowed: nets.collect(),
            allowed_hosts: Vec::new(),
        }
    }

    /// For targets that the operator chose himself.
    pub(crate) fn everything() -> Self {
        let all = [IpAddr::from([0; 4]), IpAddr::from([0u16; 8])];
        let nets = all.into_iter().filter_map(|ip| IpNet::new(ip, 0).ok());
        Self {
            allow_http: true,
            allowed: nets.collect(),
            allowed_hosts: Vec::new(),
        }
    }

    /// Whether the operator opened a host by its name.
    pub(crate) fn opens(&self, host: &str) -> bool {
        let mut patterns = self.allowed_hosts.iter();
        patterns.any(|pattern| pattern.matches(host))
    }

    /// Judges one address a host leads to.
    ///
    /// # Errors
    /// [`Blocked::Address`] with the class of the address, never the address itself: an outsider
    /// must not learn internal numbering from an error.
    pub(crate) fn check(&self, host: &str, address: IpAddr) -> Result<(), Blocked> {
        let address = address.to_canonical();
        let class = AddressClass::of(address);
        let permitted = class == AddressClass::Public
            || self.allowed.iter().any(|net| net.contains(&address))
            || class.is_internal() && self.opens(host);
        if permitted {
            Ok(())
        } else {
            Err(Blocked::Address(class))
        }
    }
}

/// A host name, or `*.` and a suffix that stands for every name below it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostPattern {
    name: String,
    below: bool,
}

/// The text is neither a host name nor `*.` and one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a host pattern is a host name, optionally with *. in front")]
pub struct InvalidHostPattern;

impl HostPattern {
    /// Whether `host` is covered; case and a final dot do not count.
    pub fn matches(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if self.below {
            host.strip_suffix(&self.name)
                .is_some_and(|label| label.len() > 1 && label.ends_with('.'))
        } else {
            host == self.name
        }
    }
}

impl FromStr for HostPattern {
    type Err = InvalidHostPattern;

    fn from_str(text: &str) -> Result<Self, InvalidHostPattern> {
        let (name, below) = text
            .strip_prefix("*.")
            .map_or((text, false), |name| (name, true));
        match url::Host::parse(name) {
            Ok(url::Host::Domain(name)) if !name.contains('*') && !name.ends_with('.') => {
                Ok(Self { name, below })
            }
            _ => Err(InvalidHostPattern),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(policy: &Policy, host: &str, address: &str) -> Option<AddressClass> {
        match policy.check(host, address.parse().unwrap()) {
            Ok(()) => None,
            Err(Blocked::Address(class)) => Some(class),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn an_allowed_network_opens_only_itself_also_in_mapped_form() {
        let policy = Policy {
            allowed: vec!["10.1.0.0/16".parse().unwrap()],
            ..Policy::default()
        };
        assert_eq!(blocked(&policy, "a.test", "10.1.2.3"), None);
        assert_eq!(blocked(&policy, "a.test", "::ffff:10.1.2.3"), None);
        assert_eq!(
            blocked(&policy, "a.test", "10.2.0.1"),
            Some(AddressClass::Private)
        );
        assert_eq!(
            blocked(&policy, "a.test", "127.0.0.1"),
            Some(AddressClass::Loopback)
        );
    }

    #[test]
    fn an_allowed_host_never_opens_metadata_addresses() {
        let policy = Policy {
            allowed_hosts: vec!["*.corp.test".parse().unwrap()],
            ..Policy::default()
        };
        assert_eq!(blocked(&policy, "api.corp.test", "10.0.0.1"), None);
        assert_eq!(
            blocked(&policy, "api.corp.test", "169.254.169.254"),
            Some(AddressClass::LinkLocal)
        );
        assert_eq!(
            blocked(&policy, "api.corp.test", "100.100.100.200"),
            Some(AddressClass::Metadata)
        );
        assert_eq!(
            blocked(&policy, "corp.test", "10.0.0.1"),
            Some(AddressClass::Private)
        );
        assert_eq!(
            blocked(&policy, "evilcorp.test", "10.0.0.1"),
            Some(AddressClass::Private)
        );
    }

    #[test]
    fn development_opens_loopback_only() {
        let policy = Policy::development();
        assert_eq!(blocked(&policy, "localhost", "127.0.0.1"), None);
        assert_eq!(blocked(&policy, "localhost", "::1"), None);
        assert_eq!(
            blocked(&policy, "x.test", "0.0.0.0"),
            Some(AddressClass::Unspecified)
        );
        assert_eq!(
            blocked(&policy, "x.test", "192.168.0.1"),
            Some(AddressClass::Private)
        );
    }

    #[test]
    fn host_patterns_are_strict() {
        for junk in [
            "", "*", "*.", "a.*.b", "http://a", "a/b", "a:1", "10.0.0.1", "[::1]", "*.*.a", "a.",
        ] {
            assert!(junk.parse::<HostPattern>().is_err(), "{junk}");
        }
        let exact: HostPattern = "API.Corp.Test".parse().unwrap();
        assert!(exact.matches("api.corp.test.") && exact.matches("API.corp.test"));
        assert!(!exact.matches("x.api.corp.test"));
        let below: HostPattern = "*.corp.test".parse().unwrap();
        assert!(below.matches("a.b.corp.test") && !below.matches(".corp.test"));
        assert_eq!(below.to_string(), "*.corp.test");
    }
}
