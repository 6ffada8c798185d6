//! `If-None-Match`, as clients send it and as proxies rewrite it.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap};

/// The versions listed in `If-None-Match`.
pub struct KnownVersions<'a>(&'a HeaderMap);

impl<'a> KnownVersions<'a> {
    /// `None` if the request has no such header.
    pub fn of(request: &'a HttpRequest) -> Option<Self> {
        request.headers().contains_key(header::IF_NONE_MATCH).then(|| Self(request.headers()))
    }

    /// Whether the version is listed. `*` lists the version that is current when the request arrives.
    pub fn name(&self, version: u32) -> bool {
        self.tags().any(|tag| version_of(tag) == Some(version))
    }

    /// Whether the header is `*`.
    pub fn name_all(&self) -> bool {
        self.tags().any(|tag| tag == "*")
    }

    fn tags(&self) -> impl Iterator<Item = &'a str> {
        let values = self.0.get_all(header::IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(str::trim)
    }
}

/// Parses the version in an entity tag. A compressing proxy marks it as weak (nginx), or adds the coding inside the
/// quotes (`"4-gzip"`, Apache and Caddy; `"4--gzip"` and `"4;gzip"`, Jetty) or after them (`"4"-gzip`, Apache before
/// 2.4). We never compress, so the version is the same. The quotes that RFC 9110 requires may be missing.
fn version_of(tag: &str) -> Option<u32> {
    let strong = tag.strip_prefix("W/").or_else(|| tag.strip_prefix("w/")).unwrap_or(tag);
    let tag = strong.strip_prefix('"').unwrap_or(strong);
    let (digits, rest) = tag.split_at(tag.bytes().take_while(u8::is_ascii_digit).count());
    let coding = rest.strip_prefix('"').unwrap_or(rest);
    let coding = coding.strip_suffix('"').unwrap_or(coding);
    let is_added = coding.is_empty()
        || coding.starts_with(['-', ';', ':', '+'])
            && coding.bytes().all(|byte| byte.is_ascii_alphabetic() || b"-;:+".contains(&byte));
    is_added.then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_version_is_parsed_from_tags_that_proxies_rewrote() {
        for same in [
            "\"4\"",
            "W/\"4\"",
            "w/\"4\"",
            "4",
            "\"4-gzip\"",
            "W/\"4-gzip\"",
            "\"4-br\"",
            "\"4-zstd\"",
            "\"4-deflate\"",
            "\"4--gzip\"",
            "\"4;gzip\"",
            "\"4:gzip\"",
            "\"4\"-gzip",
            "\"3\", \"4\"",
            "\"3-gzip\",W/\"4-gzip\" , \"5\"",
        ] {
            let request = TestRequest::get().insert_header(("if-none-match", same)).to_http_request();
            let known = KnownVersions::of(&request).unwrap();
            assert!(known.name(4), "{same}");
            assert!(!known.name(44) && !known.name_all(), "{same}");
        }
        for other in ["", "\"\"", "\"5\"", "\"44\"", "\"4x\"", "\"4-5\"", "\"-gzip\"", "\"4.5\"", "x", "W/"] {
            let request = TestRequest::get().insert_header(("if-none-match", other)).to_http_request();
            assert!(!KnownVersions::of(&request).unwrap().name(4), "{other}");
        }
    }

    #[test]
    fn several_headers_count_as_one() {
        let request = TestRequest::get()
            .append_header(("if-none-match", "\"3\""))
            .append_header(("if-none-match", "*"))
            .to_http_request();
        let known = KnownVersions::of(&request).unwrap();
        assert!(known.name(3) && !known.name(4) && known.name_all());
        assert!(KnownVersions::of(&TestRequest::get().to_http_request()).is_none());
    }
}
