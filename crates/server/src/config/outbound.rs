//! What the server itself may reach, and how.

use super::{Remark, optional_without_secrets, rules::remark, shown_url};
use ipnet::IpNet;
use keystead_net::{Egress, EgressProxy, HostPattern, InvalidHostPattern, Names, Policy};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    path::PathBuf,
};

/// What the server itself may reach, and how.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outbound {
    /// Private networks that connectors may reach, as CIDR.
    #[serde(default)]
    pub(crate) allowed_networks: Vec<IpNet>,
    /// Internal hosts that connectors may reach; `*.` in front stands for all names below.
    #[serde(default)]
    pub(crate) allowed_hosts: Vec<String>,
    /// Further certificate authorities (PEM).
    #[serde(default)]
    pub(crate) extra_ca: Vec<PathBuf>,
    /// Proxy that opens tunnels: `http://user:password@host:port`.
    #[serde(serialize_with = "optional_without_secrets")]
    pub(crate) proxy: Option<String>,
    /// Whether the proxy resolves names, not this server.
    #[serde(default)]
    pub(crate) proxy_resolves_names: bool,
    /// What single connectors may reach besides.
    #[serde(default)]
    pub(crate) connectors: Vec<OfConnector>,
    /// Addresses that connections leave from, one of a family.
    #[serde(default)]
    pub(crate) source_addresses: Vec<IpAddr>,
}

/// What one connector may reach besides (AK-470).
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfConnector {
    /// Key of the connector.
    pub(crate) connector: String,
    /// Private networks, as CIDR.
    #[serde(default)]
    pub(crate) allowed_networks: Vec<IpNet>,
    /// Internal hosts.
    #[serde(default)]
    pub(crate) allowed_hosts: Vec<String>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("allowed_networks", &self.allowed_networks)
            .field("allowed_hosts", &self.allowed_hosts)
            .field("extra_ca", &self.extra_ca)
            .field("proxy", &self.proxy.as_deref().map(shown_url))
            .field("proxy_resolves_names", &self.proxy_resolves_names)
            .field("connectors", &self.connectors)
            .field("source_addresses", &self.source_addresses)
            .finish()
    }
}

impl Outbound {
    /// What connectors may reach.
    ///
    /// # Errors
    /// A host that is none; [`super::load`] finds it first.
    pub(crate) fn policy(&self) -> Result<Policy, InvalidHostPattern> {
        Ok(Policy {
            allow_http: false,
            allowed: self.allowed_networks.clone(),
            allowed_hosts: hosts(&self.allowed_hosts)?,
        })
    }

    /// What single connectors may reach, which is more, by their keys.
    ///
    /// # Errors
    /// See [`Self::policy`].
    pub(crate) fn wider_policies(&self) -> Result<BTreeMap<String, Policy>, InvalidHostPattern> {
        let mut policies = BTreeMap::new();
        for one in &self.connectors {
            let mut policy = self.policy()?;
            policy.allowed.extend(&one.allowed_networks);
            policy.allowed_hosts.extend(hosts(&one.allowed_hosts)?);
            policies.insert(one.connector.clone(), policy);
        }
        Ok(policies)
    }

    /// Rules that are broken.
    pub(super) fn broken(&self) -> Vec<Remark> {
        let mut found: Vec<Remark> = self.egress().err().into_iter().collect();
        let mut seen = BTreeSet::new();
        for one in &self.connectors {
            let name = &one.connector;
            let mut say = |text: String| found.push(remark("outbound.connectors", text));
            if name.is_empty() || !seen.insert(name) {
                say(format!(
                    "takes the key of a connector, each once, not `{name}`"
                ));
            }
            if let Err(error) = hosts(&one.allowed_hosts) {
                say(format!(
                    "has allowed_hosts for `{name}` that are wrong: {error}"
                ));
            }
        }
        found
    }

    /// How connections leave (AK-473).
    ///
    /// # Errors
    /// The setting that an operator has to correct.
    pub(crate) fn egress(&self) -> Result<Egress, Remark> {
        let mut egress = Egress::default();
        if let Some(text) = &self.proxy {
            let Ok(mut proxy) = text.parse::<EgressProxy>() else {
                let text = "must look like http://user:password@proxy.example.com:3128";
                return Err(remark("outbound.proxy", text));
            };
            if self.proxy_resolves_names {
                proxy.names = Names::AtProxy;
            }
            egress.proxy = Some(proxy);
        } else if self.proxy_resolves_names {
            let setting = "outbound.proxy_resolves_names";
            return Err(remark(setting, "needs outbound.proxy"));
        }
        for address in &self.source_addresses {
            let before = match address {
                IpAddr::V4(v4) => egress.source_v4.replace(*v4).is_some(),
                IpAddr::V6(v6) => egress.source_v6.replace(*v6).is_some(),
            };
            if before || address.is_unspecified() {
                let text = "takes one IPv4 and one IPv6 address of this machine";
                return Err(remark("outbound.source_addresses", text));
            }
        }
        Ok(egress)
    }
}

fn hosts(texts: &[String]) -> Result<Vec<HostPattern>, InvalidHostPattern> {
    texts.iter().map(|host| host.parse()).collect()
}
