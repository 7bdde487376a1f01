use std::fmt;

/// Where the installation is reached: scheme, host and port, without a trailing slash.
///
/// The default environment is served at this address itself; every other environment at its own
/// domain, on the same port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BaseUrl {
    scheme: &'static str,
    host: String,
    port: Option<u16>,
}

/// The text is not a base URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the base URL must look like https://auth.example.com or https://localhost:8443, without a path"
)]
pub struct InvalidBaseUrl;

impl BaseUrl {
    /// Reads `scheme://host[:port]`; a trailing slash is tolerated.
    pub fn parse(text: &str) -> Result<Self, InvalidBaseUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidBaseUrl)?;
        let (scheme, default_port) = match scheme {
            "https" => ("https", 443),
            "http" => ("http", 80),
            _ => return Err(InvalidBaseUrl),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = split_port(authority).ok_or(InvalidBaseUrl)?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
        if host.is_empty() || !host.bytes().all(legal) {
            return Err(InvalidBaseUrl);
        }
        let port = port.filter(|port| *port != default_port);
        Ok(Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// The host without the port, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether browsers reach it over TLS.
    pub fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    /// The address of `domain` on the same scheme and port.
    pub fn at(&self, domain: &str) -> String {
        let domain = domain.to_owned();
        Self {
            host: domain,
            ..self.clone()
        }
        .to_string()
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The host of a `Host` header or `:authority`: without the port, in lower case, without the final
/// dot of a fully qualified name.
pub(crate) fn host_of(authority: &str) -> Option<String> {
    let (host, _) = split_port(authority.trim())?;
    let host = host.strip_suffix('.').unwrap_or(host);
    (!host.is_empty() && host.len() <= 253).then(|| host.to_ascii_lowercase())
}

fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    match authority.rsplit_once(':') {
        // A colon inside brackets belongs to an IPv6 address.
        Some((host, port)) if !port.contains(']') => Some((host, Some(port.parse().ok()?))),
        _ => Some((authority, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_was_read_without_default_ports() {
        for (text, shown) in [
            ("https://localhost:8443", "https://localhost:8443"),
            ("https://Auth.Example.com/", "https://auth.example.com"),
            ("https://a.example:443", "https://a.example"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap().to_string(), shown);
        }
        for junk in [
            "",
            "localhost",
            "ftp://a",
            "https://a/path",
            "https://",
            "https://a b",
            "https://a:x",
        ] {
            assert_eq!(BaseUrl::parse(junk), Err(InvalidBaseUrl), "{junk}");
        }
    }

    #[test]
    fn hosts_are_compared_without_port_case_and_final_dot() {
        assert_eq!(host_of("LocalHost:8443").as_deref(), Some("localhost"));
        assert_eq!(host_of("a.example.").as_deref(), Some("a.example"));
        assert_eq!(host_of("[::1]:1").as_deref(), Some("[::1]"));
        assert_eq!(host_of(""), None);
        assert_eq!(host_of("a:b"), None);
    }

    #[test]
    fn other_environments_keep_scheme_and_port() {
        let base = BaseUrl::parse("https://localhost:8443").unwrap();
        assert_eq!(base.at("dev-1.localhost"), "https://dev-1.localhost:8443");
    }
}
