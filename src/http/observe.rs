//! Middleware of every request: request id, log line, metrics, common headers, and catching panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, ResponseError, web};
use metrics::SharedString;

use super::capacity::{Capacity, Load};
use super::error::Problem;
use super::meters::{Listener, count_undescribed};
use super::routes::{Route, UNROUTED};
use super::stream;
use crate::clock::Stopwatch;
use crate::vault;
use crate::verification::values::{AppName, VerificationId};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id accepted from a caller.
const MAX_REQUEST_ID_BYTES: usize = 128;
/// Enough to recognize a mistyped path.
const MAX_LOGGED_PATH_CHARS: usize = 100;

pub async fn observe<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let watch = Stopwatch::start();
    let method = method_label(request.method());
    let listener = request.app_data::<web::Data<Listener>>().cloned();
    let described = listener.as_ref().and_then(|listener| listener.routes.find(request.path()));
    // A console page has a route but no description.
    let page = || request.match_pattern().map(SharedString::from);
    let route = match described {
        Some(route) => SharedString::from(&*route.pattern),
        None => page().unwrap_or(UNROUTED.into()),
    };
    let request_id = request_id(request.headers());
    let measured = if stream::may_wait(request.query_string()) {
        compact(request.headers_mut());
        Measured::Wait
    } else {
        Measured::Work
    };
    let capacity = listener.as_ref().map(|listener| Arc::clone(&listener.capacity));
    let unrouted = (&*route == UNROUTED).then(|| redacted(request.path()));
    let line = RequestLine {
        method,
        route,
        unrouted,
        counted: listener.zip(described),
        measured,
        request_id,
        watch,
    };
    if capacity.as_ref().is_some_and(|capacity| capacity.load() == Load::Full) && !is_frequent(&line.route) {
        let refusal = Capacity::refusal();
        line.write_without_request(refusal.status_code());
        return Err(closing(decorated(refusal.into(), line.request_id)));
    }
    match caught(next.call(request)).await {
        Ok(Ok(mut response)) => {
            line.write(response.status(), response.request());
            decorate(response.headers_mut(), &line.request_id);
            if capacity.is_some_and(|capacity| capacity.load() != Load::Normal) {
                response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            Ok(response)
        }
        Ok(Err(error)) => {
            line.write_without_request(error.as_response_error().status_code());
            Err(decorated(error, line.request_id))
        }
        Err(panic) => {
            // The panic hook has printed the location; the message may contain anything, so it is not logged.
            drop(panic);
            tracing::error!(
                method,
                route = &*line.route,
                request_id = line.request_id.to_str().unwrap_or(""),
                "a handler panicked"
            );
            line.write_without_request(StatusCode::INTERNAL_SERVER_ERROR);
            Err(decorated(Problem::internal().into(), line.request_id))
        }
    }
}

/// A future's output, or its panic payload.
async fn caught<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// The caller's id if it is safe to log, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let lawful = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    let given = headers.get(&REQUEST_ID).filter(|value| {
        (1..=MAX_REQUEST_ID_BYTES).contains(&value.len()) && value.as_bytes().iter().all(lawful)
    });
    given.cloned().unwrap_or_else(|| {
        let bits = vault::id_bits();
        let digit = |place: usize| {
            b"0123456789abcdef"[usize::from(bits.to_be_bytes()[place / 2] >> (4 * (1 - place % 2)) & 0xf)]
        };
        let made: [u8; 16] = std::array::from_fn(digit);
        HeaderValue::from_bytes(&made).unwrap_or(HeaderValue::from_static("none"))
    })
}

/// A head has room for 28 headers, 7 KiB that a long poll would hold while it waits.
fn compact(headers: &mut HeaderMap) {
    let mut few = HeaderMap::with_capacity(headers.len());
    headers.iter().for_each(|(name, value)| few.append(name.clone(), value.clone()));
    *headers = few;
}

/// Sets common headers unless the handler has set them.
fn decorate(headers: &mut HeaderMap, request_id: &HeaderValue) {
    headers.reserve(5);
    headers.insert(REQUEST_ID, request_id.clone());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, value) in [
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

fn decorated(mut error: Error, request_id: HeaderValue) -> Error {
    error.add_response_mapper(move |mut response| {
        decorate(response.headers_mut(), &request_id);
        response
    });
    error
}

/// Closes the connection after the answer.
fn closing(mut error: Error) -> Error {
    error.add_response_mapper(|mut response| {
        response.head_mut().set_connection_type(ConnectionType::Close);
        response
    });
    error
}

/// A path that is safe to log: shortened, without runs of digits that may be a number or a code.
fn redacted(path: &str) -> String {
    let mut shown = String::with_capacity(path.len().min(MAX_LOGGED_PATH_CHARS));
    let mut digits = String::new();
    for letter in path.chars().take(MAX_LOGGED_PATH_CHARS) {
        if letter.is_numeric() {
            digits.push(letter);
            continue;
        }
        end_digits(&mut shown, &mut digits);
        let is_plain = letter.is_ascii_alphabetic() || "/-_.~+%{}".contains(letter);
        shown.push(if is_plain { letter } else { '?' });
    }
    end_digits(&mut shown, &mut digits);
    shown
}

/// Versions such as `v1` have one or two digits, the shortest code has four.
fn end_digits(shown: &mut String, digits: &mut String) {
    shown.push_str(if digits.len() <= 2 { digits } else { "#" });
    digits.clear();
}

/// Meaning of a request's duration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Measured {
    /// Time that the server worked on it.
    Work,
    /// Time that it was held, at the caller's request, until something changed.
    Wait,
}

/// The log line of a request. It omits path and query, which may contain a number; an unknown path is shown without its
/// digits.
struct RequestLine {
    method: &'static str,
    route: SharedString,
    /// The path, if no route matches.
    unrouted: Option<String>,
    measured: Measured,
    /// Metrics of the route, if it has a description.
    counted: Option<(web::Data<Listener>, &'static Route)>,
    request_id: HeaderValue,
    watch: Stopwatch,
}

impl RequestLine {
    fn write(&self, status: StatusCode, request: &actix_web::HttpRequest) {
        let extensions = request.extensions();
        self.log(status, extensions.get::<AppName>(), extensions.get::<VerificationId>());
    }

    fn write_without_request(&self, status: StatusCode) {
        self.log(status, None, None);
    }

    fn log(&self, status: StatusCode, app: Option<&AppName>, verification: Option<&VerificationId>) {
        let seconds = self.watch.elapsed().as_secs_f64();
        let method = self.method;
        let counted = self.counted.as_ref();
        match counted.and_then(|(listener, route)| Some((listener.meters(route)?, &*route.pattern))) {
            Some((meters, route)) => meters.count(route, method, status, self.measured, seconds),
            None => count_undescribed(&self.route, method, status, seconds),
        }
        let route = &*self.route;
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    method,
                    route,
                    status = status.as_u16(),
                    ms = seconds * 1_000.0,
                    request_id = self.request_id.to_str().unwrap_or(""),
                    app = app.map(AppName::as_str),
                    verification = verification.map(tracing::field::display),
                    path = self.unrouted.as_deref(),
                    "request"
                )
            };
        }
        if status.is_server_error() {
            line!(warn);
        } else if is_read(method, status) || is_frequent(route) && !is_worth_a_line(status) {
            line!(debug);
        } else {
            line!(info);
        }
    }
}

/// Refusals that help an operator: a wrong verify token, an unknown channel's address. Webhooks with a wrong signature
/// are summarized elsewhere.
fn is_worth_a_line(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::UNAUTHORIZED
}

/// A successful read; only of interest in debugging.
fn is_read(method: &str, status: StatusCode) -> bool {
    matches!(method, "GET" | "HEAD") && !status.is_client_error()
}

/// Routes that providers and monitoring call constantly: not logged one by one, and answered however crowded the
/// listener is.
fn is_frequent(route: &str) -> bool {
    route.starts_with("/webhooks/") || matches!(route, "/healthz" | "/readyz" | "/metrics")
}

/// A closed set, so that callers cannot create metrics.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, init_service, try_call_service};
    use actix_web::{App, web};

    use super::*;

    #[actix_web::test]
    async fn a_panic_becomes_a_complete_problem_document() {
        async fn panics() -> &'static str {
            panic!("on purpose")
        }
        let app = App::new().wrap(from_fn(observe)).route("/", web::get().to(panics));
        let service = init_service(app).await;
        let request = TestRequest::get().uri("/").insert_header(("x-request-id", "r-1")).to_request();
        let error = try_call_service(&service, request).await.expect_err("it panicked");
        let response = error.error_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers().get("content-type").unwrap(), "application/problem+json");
        assert_eq!(response.headers().get("x-request-id").unwrap(), "r-1");
        assert_eq!(response.headers().get("x-content-type-options").unwrap(), "nosniff");
    }

    #[test]
    fn a_logged_path_contains_no_number_and_no_code() {
        for (path, shown) in [
            ("/v1/verification", "/v1/verification"),
            ("/v2/verifications/+12025550177", "/v2/verifications/+#"),
            ("/v1/check/493817", "/v1/check/#"),
            ("/v1/٤٩٣٨١٧", "/v1/#"),
            ("/a b\n\u{1b}[31m", "/a?b???31m"),
        ] {
            assert_eq!(redacted(path), shown);
        }
        assert!(redacted(&"/x".repeat(5_000)).len() <= MAX_LOGGED_PATH_CHARS);
    }

    #[test]
    fn methods_have_few_labels() {
        let strange = Method::from_bytes(b"BREW").unwrap();
        assert_eq!((method_label(&Method::GET), method_label(&strange)), ("GET", "other"));
    }

    #[test]
    fn a_generated_request_id_is_16_hexadecimal_digits() {
        let made = request_id(&HeaderMap::new());
        assert_eq!(made.len(), 16);
        assert!(u64::from_str_radix(made.to_str().unwrap(), 16).is_ok(), "{made:?}");
        assert_ne!(made, request_id(&HeaderMap::new()));
    }
}
