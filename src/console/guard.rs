//! Middleware of every page: refuses cross-site requests, sets security headers, and renders refusals.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use super::{Console, Refusal, refusal};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub async fn guard(
    console: web::Data<Console>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let refused = if request.method().is_safe() { Ok(()) } else { check_sender(&console, request.headers()) };
    let mut response = match refused {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(refusal) => request.error_response(refusal),
    };
    let refusal = response.response().error().and_then(|error| error.as_error::<Refusal>()).cloned();
    if let Some(refusal) = refusal {
        let page = refusal::page(&console, response.request(), &refusal);
        response = response.into_response(page);
    }
    protect(&console, response.headers_mut());
    Ok(response)
}

/// Accepts a state-changing request only if the browser marks it as same-origin.
fn check_sender(console: &Console, headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let site = text(HeaderName::from_static("sec-fetch-site"));
    let origin = text(header::ORIGIN);
    let host = text(header::HOST).unwrap_or("");
    let is_ours = |origin: &str| {
        // On loopback without TLS, the host may have several names.
        let by_host = !console.is_https() && origin.strip_prefix("http://") == Some(host) && !host.is_empty();
        by_host || origin == origin_of(&console.public_url)
    };
    match (site, origin) {
        (Some(site), _) if site != "same-origin" => Err(Refusal::ForeignOrigin),
        (_, Some(origin)) if !is_ours(origin) => Err(Refusal::ForeignOrigin),
        (None, None) => Err(Refusal::ForeignOrigin),
        (Some(_), _) | (_, Some(_)) => Ok(()),
    }
}

/// `https://console.example.com` for `https://console.example.com/below`.
fn origin_of(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find('/').map_or(url.len(), |at| after_scheme + at);
    &url[..end]
}

fn protect(console: &Console, headers: &mut HeaderMap) {
    let mut set = |name: &'static str, value: &'static str| {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    };
    set("content-security-policy", POLICY);
    // `no-referrer` would make browsers send `Origin: null` with our own forms.
    set("referrer-policy", "same-origin");
    set("x-frame-options", "DENY");
    set("cross-origin-opener-policy", "same-origin");
    set("cross-origin-resource-policy", "same-origin");
    set("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
    if console.is_https() {
        set("strict-transport-security", "max-age=31536000");
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_of_an_address_is_its_beginning() {
        assert_eq!(origin_of("https://a.example"), "https://a.example");
        assert_eq!(origin_of("https://a.example:8443/console/x"), "https://a.example:8443");
    }
}
