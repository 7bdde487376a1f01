//! AWS Signature Version 4 in the `Authorization` header.
//!
//! [`SigV4::authorization`] signs every header it is given; whoever sends the request must send
//! exactly these. AWS names the rules in "Create a signed AWS API request".

use crate::encode::percent;
use aws_lc_rs::{digest, hmac};
use keystead_types::{Secret, Timestamp};
use std::fmt::Write;
use zeroize::Zeroizing;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Whose signature it is, and for what.
#[derive(Clone, Copy, Debug)]
pub struct SigV4<'a> {
    /// Access key id. Not a secret.
    pub access_key_id: &'a str,
    /// Secret access key.
    pub secret: &'a Secret<String>,
    /// `us-east-1`.
    pub region: &'a str,
    /// `redshift-data`.
    pub service: &'a str,
}

/// A request that is complete but for the signature.
#[derive(Clone, Copy, Debug)]
pub struct AwsRequest<'a> {
    /// Method.
    pub method: &'a str,
    /// Path as it is sent.
    pub path: &'a str,
    /// Query as it is sent, without `?`.
    pub query: &'a str,
    /// Headers to sign, `host` and `x-amz-date` among them, with names in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    /// [`payload_hash`] of the body, or what the service takes in its place.
    pub payload: &'a str,
}

/// The hash of a body, in the form that is signed.
pub fn payload_hash(body: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, body).as_ref())
}

/// A moment as `x-amz-date` has it: `20150830T123600Z`.
pub fn amz_date(at: Timestamp) -> String {
    let seconds = at.as_secs();
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

impl SigV4<'_> {
    /// The value of `Authorization`. `date` is that of the signed header `x-amz-date`.
    pub fn authorization(&self, request: &AwsRequest<'_>, date: &str) -> String {
        let day = date.get(..8).unwrap_or(date);
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let (canonical, signed) = self.canonical(request);
        let hash = payload_hash(canonical.as_bytes());
        let text = format!("{ALGORITHM}\n{date}\n{scope}\n{hash}");
        let signature = hex(hmac(&self.key(day), &text).as_ref());
        let credential = self.access_key_id;
        format!(
            "{ALGORITHM} Credential={credential}/{scope}, SignedHeaders={signed}, Signature={signature}"
        )
    }

    /// The canonical request, and the names of its headers.
    fn canonical(&self, request: &AwsRequest<'_>) -> (String, String) {
        let mut headers: Vec<(&str, String)> = request
            .headers
            .iter()
            .map(|(name, value)| (*name, collapsed(value)))
            .collect();
        headers.sort();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let signed = names.join(";");
        let mut lines = String::new();
        for (name, value) in &headers {
            let _ = writeln!(lines, "{name}:{value}");
        }
        // Every service but S3 encodes the path that is sent once more.
        let path = match (self.service, request.path) {
            (_, "") => "/".to_owned(),
            ("s3", path) => path.to_owned(),
            (_, path) => path.split('/').map(percent).collect::<Vec<_>>().join("/"),
        };
        let query = canonical_query(request.query);
        let (method, payload) = (request.method, request.payload);
        let text = format!("{method}\n{path}\n{query}\n{lines}\n{signed}\n{payload}");
        (text, signed)
    }

    /// The key of a day, derived step by step.
    fn key(&self, day: &str) -> hmac::Key {
        let secret = Zeroizing::new(format!("AWS4{}", self.secret.expose()));
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        for part in [day, self.region, self.service, "aws4_request"] {
            key = hmac::Key::new(hmac::HMAC_SHA256, hmac(&key, part).as_ref());
        }
        key
    }
}

fn hmac(key: &hmac::Key, text: &str) -> hmac::Tag {
    hmac::sign(key, text.as_bytes())
}

/// Without blanks around, and with one where there are several.
fn collapsed(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Names and values, decoded as sent, encoded one way, and sorted.
fn canonical_query(query: &str) -> String {
    let decode = |text: &str| {
        let bytes: Vec<u8> = percent_encoding::percent_decode_str(text).collect();
        percent_encoding::percent_encode(&bytes, crate::encode::RESERVED).to_string()
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar.
const fn civil(days: i64) -> (i64, i64, i64) {
    // Years that begin in March end with the leap day; 400 of them always have 146097 days.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "20150830T123600Z";

    /// Method, target, headers, body, signature.
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);

    fn signature(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> String {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned());
        let signer = SigV4 {
            access_key_id: "AKIDEXAMPLE",
            secret: &secret,
            region: "us-east-1",
            service: "service",
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let all = [
            &[("host", "example.amazonaws.com"), ("x-amz-date", DATE)],
            headers,
        ]
        .concat();
        let request = AwsRequest {
            method,
            path,
            query,
            headers: &all,
            payload: &payload_hash(body.as_bytes()),
        };
        let value = signer.authorization(&request, DATE);
        let head = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=";
        assert!(value.starts_with(head), "{value}");
        value.rsplit_once("Signature=").unwrap().1.to_owned()
    }

    /// Part of AK-229: the published test suite of AWS.
    #[test]
    fn signatures_are_those_of_the_published_suite() {
        let trim = [("my-header1", " value1"), ("my-header2", " \"a   b   c\"")];
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let cases: [Case<'_>; 7] = [
            (
                "GET",
                "/",
                &[],
                "",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "POST",
                "/",
                &[],
                "",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "GET",
                "/?Param2=value2&Param1=value1",
                &[],
                "",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "GET",
                "/",
                &trim,
                "",
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
            (
                "GET",
                "/example space/",
                &[],
                "",
                "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
            ),
            (
                "GET",
                "/\u{1234}",
                &[],
                "",
                "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
            ),
            (
                "POST",
                "/",
                &form,
                "Param1=value1",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ];
        for (method, target, headers, body, expected) in cases {
            assert_eq!(
                signature(method, target, headers, body),
                expected,
                "{method} {target}"
            );
        }
    }

    #[test]
    fn queries_are_decoded_sorted_and_encoded_one_way() {
        assert_eq!(canonical_query("b=%2f&a&a=%7E+x"), "a=&a=~%2Bx&b=%2F");
        assert_eq!(canonical_query(""), "");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (1_440_938_160, DATE),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_709_251_199, "20240229T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(amz_date(Timestamp::from_secs(seconds)), text);
        }
    }
}
