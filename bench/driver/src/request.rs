//! Requests made from a template, and the check of their answers.

use crate::Shape;
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, StatusCode, Uri,
    header::{HOST, HeaderName, HeaderValue},
};
use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
};

/// Where a server is.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Origin {
    pub(crate) fn of(uri: &Uri) -> Result<Self> {
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => bail!("the URL must start with http:// or https://"),
        };
        Ok(Self {
            tls,
            host: uri.host().context("the URL has no host")?.to_owned(),
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        })
    }

    fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Text with places for a number.
#[derive(Clone, Debug)]
struct Template(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Number,
    Below(u64),
}

impl Template {
    fn new(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("{n") {
            let (before, after) = rest.split_at(start);
            let end = after.find('}').context("a {n is not closed")?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(match &after[2..end] {
                "" => Part::Number,
                modulus => {
                    let modulus = modulus
                        .strip_prefix('%')
                        .context("{n…} must be {n} or {n%M}")?;
                    let modulus: u64 = modulus.parse().context("{n%M} needs a number")?;
                    ensure!(modulus > 0, "{{n%0}} has no values");
                    Part::Below(modulus)
                }
            });
            rest = &after[end + 1..];
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    fn fill(&self, number: u64) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(fixed) => text.push_str(fixed),
                Part::Number => write!(text, "{number}").expect("text takes all"),
                Part::Below(modulus) => {
                    write!(text, "{}", number % modulus).expect("text takes all")
                }
            }
        }
        text
    }

    fn is_fixed(&self) -> bool {
        matches!(self.0.as_slice(), [Part::Text(_)])
    }
}

/// Makes requests and judges answers.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) origin: Origin,
    method: Method,
    path: Template,
    fixed_headers: HeaderMap,
    headers: Vec<(HeaderName, Template)>,
    body: Template,
    status: StatusCode,
    contains: Option<String>,
    next: AtomicU64,
}

impl Plan {
    pub(crate) fn new(shape: &Shape) -> Result<Self> {
        // The braces of a template are not legal in a URL.
        let origin_end = shape.url.find("://").map_or(0, |at| at + 3);
        let path_start = shape.url[origin_end..]
            .find('/')
            .map_or(shape.url.len(), |at| origin_end + at);
        let (origin, path) = shape.url.split_at(path_start);
        let origin = Origin::of(&origin.parse().context("the URL is not one")?)?;
        let mut fixed_headers = HeaderMap::new();
        fixed_headers.insert(HOST, HeaderValue::from_str(&origin.authority())?);
        let mut headers = Vec::new();
        for line in &shape.header {
            let (name, value) = line.split_once(':').context("a header is `Name: value`")?;
            let (name, template) = (
                HeaderName::try_from(name.trim())?,
                Template::new(value.trim())?,
            );
            if template.is_fixed() {
                fixed_headers.insert(name, HeaderValue::from_str(value.trim())?);
            } else {
                headers.push((name, template));
            }
        }
        // Two runs against the same data must not meet.
        let start = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_micros();
        Ok(Self {
            origin,
            method: shape.method.parse().context("not an HTTP method")?,
            path: Template::new(if path.is_empty() { "/" } else { path })?,
            fixed_headers,
            headers,
            body: Template::new(&shape.body)?,
            status: StatusCode::from_u16(shape.status)?,
            contains: shape.contains.clone(),
            next: AtomicU64::new(u64::try_from(start)?),
        })
    }

    /// The next request.
    pub(crate) fn request(&self) -> Result<Request<Full<Bytes>>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut request = Request::new(Full::new(Bytes::from(self.body.fill(number))));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.fill(number).parse()?;
        let headers = request.headers_mut();
        headers.clone_from(&self.fixed_headers);
        for (name, value) in &self.headers {
            headers.insert(name.clone(), HeaderValue::from_str(&value.fill(number))?);
        }
        Ok(request)
    }

    /// Why an answer is wrong.
    pub(crate) fn fault(&self, status: StatusCode, body: &[u8]) -> Option<String> {
        if status != self.status {
            let text = String::from_utf8_lossy(body);
            return Some(format!(
                "status {} {}",
                status.as_u16(),
                text.chars().take(200).collect::<String>()
            ));
        }
        let wanted = self.contains.as_deref()?.as_bytes();
        let found = body.windows(wanted.len()).any(|window| window == wanted);
        (!found).then(|| "the answer lacks the expected text".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_put_in_their_places() {
        let template = Template::new("a{n}b{n%10}").unwrap();
        assert_eq!(template.fill(123), "a123b3");
        assert!(Template::new("{\"json\": true}").unwrap().is_fixed());
        assert!(Template::new("{nope}").is_err());
        assert!(Template::new("{n%0}").is_err());
    }
}
