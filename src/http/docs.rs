//! The description of the public interface, OpenAPI 3.1, made of the handlers themselves, and a page that shows it
//! with everything it needs in this binary.

use std::sync::{Arc, LazyLock};

use actix_web::http::header;
use actix_web::{HttpResponse, get, web};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Info, OpenApi, Tag};
use utoipa::{IntoResponses, ToResponse};
use utoipa_swagger_ui::Config;

use super::error::{Code, Document, Problem};
use super::routes;

/// The OpenAPI document of the public listener.
pub fn document() -> &'static OpenApi {
    static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(describe);
    &DOCUMENT
}

fn describe() -> OpenApi {
    let mut document = routes::PUBLIC.document.clone();
    let mut info = Info::new("twotick", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Gets a one-time passcode to a person by WhatsApp, by SMS when that is not delivered in time, and knows what \
         became of it.\n\nTimes are RFC 3339 in UTC with milliseconds. Every error is a problem document (RFC 9457); \
         every answer carries `X-Request-Id`."
            .to_owned(),
    );
    document.info = info;
    document.tags = Some(vec![
        tag("verifications", "Send a code, check it, follow what becomes of it"),
        tag("inbound", "What people write back"),
        tag("webhooks", "For providers"),
        tag("operation", "For whoever runs it"),
    ]);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("API key").build();
    // A route for two methods has one description, and so one id for both.
    for item in document.paths.paths.values_mut() {
        let head = item.head.as_mut().and_then(|operation| operation.operation_id.as_mut());
        if let Some(id) = head {
            id.push_str("_head");
        }
    }
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme("api_key", SecurityScheme::Http(bearer));
    document
}

fn tag(name: &str, description: &str) -> Tag {
    let mut tag = Tag::new(name);
    tag.description = Some(description.to_owned());
    tag
}

/// What any request with an API key may get.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described")]
pub enum ApiProblems {
    #[response(status = 401, description = "`unauthorized`")]
    Unauthorized(#[to_response] ProblemDocument),
    #[response(status = 400, description = "`malformed_body`")]
    Malformed(#[to_response] ProblemDocument),
    #[response(status = 404, description = "`not_found`")]
    NotFound(#[to_response] ProblemDocument),
    #[response(status = 405, description = "`method_not_allowed`")]
    MethodNotAllowed(#[to_response] ProblemDocument),
    #[response(status = 408, description = "`request_timeout`")]
    TimedOut(#[to_response] ProblemDocument),
    #[response(status = 413, description = "`body_too_large`")]
    TooLarge(#[to_response] ProblemDocument),
    #[response(status = 415, description = "`unsupported_media_type`")]
    Unsupported(#[to_response] ProblemDocument),
    #[response(status = 422, description = "The request is wrong; `code` and `errors` say how")]
    Refused(#[to_response] ProblemDocument),
    #[response(status = 500, description = "`internal`, `record_damaged`: our fault")]
    Failed(#[to_response] ProblemDocument),
    #[response(
        status = 503,
        description = "`store_full`, `store_busy`, `too_many_connections`, `draining`: try again after `Retry-After`"
    )]
    Unavailable(#[to_response] ProblemDocument),
}

/// What any request may get.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described")]
pub enum PublicProblems {
    #[response(status = 400, description = "`malformed_body`")]
    Malformed(#[to_response] ProblemDocument),
    #[response(status = 404, description = "`not_found`")]
    NotFound(#[to_response] ProblemDocument),
    #[response(status = 405, description = "`method_not_allowed`")]
    MethodNotAllowed(#[to_response] ProblemDocument),
    #[response(status = 408, description = "`request_timeout`")]
    TimedOut(#[to_response] ProblemDocument),
    #[response(status = 413, description = "`body_too_large`")]
    TooLarge(#[to_response] ProblemDocument),
    #[response(status = 415, description = "`unsupported_media_type`")]
    Unsupported(#[to_response] ProblemDocument),
    #[response(status = 422, description = "The request is wrong; `code` and `errors` say how")]
    Refused(#[to_response] ProblemDocument),
    #[response(status = 500, description = "`internal`, `record_damaged`: our fault")]
    Failed(#[to_response] ProblemDocument),
    #[response(
        status = 503,
        description = "`store_full`, `store_busy`, `too_many_connections`, `draining`: try again after `Retry-After`"
    )]
    Unavailable(#[to_response] ProblemDocument),
}

#[derive(ToResponse)]
#[response(description = "A problem document (RFC 9457)", content_type = "application/problem+json")]
#[expect(dead_code, reason = "only described")]
pub struct ProblemDocument(Document<'static>);

/// This document
#[utoipa::path(
    operation_id = "openapi",
    tag = "operation",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object), PublicProblems),
)]
#[get("/openapi.json")]
pub async fn openapi() -> HttpResponse {
    // Written once: to write it anew for whoever asks would be the cheapest way to keep a worker busy.
    static WRITTEN: LazyLock<web::Bytes> = LazyLock::new(|| {
        let json = serde_json::to_vec(document()).unwrap_or_default(); // strings, lists and maps of them always serialize
        web::Bytes::from(json)
    });
    HttpResponse::Ok().content_type("application/json").body(WRITTEN.clone())
}

/// The page begins at `/docs/`
#[utoipa::path(operation_id = "docs_page", tag = "operation", responses((status = 308, description = "To `/docs/`")))]
#[get("/docs")]
pub async fn page() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
}

/// The page
#[utoipa::path(operation_id = "docs_index", tag = "operation", responses((status = 200, description = "HTML")))]
#[get("/docs/")]
pub async fn index() -> Result<HttpResponse, Problem> {
    asset("index.html")
}

/// What the page consists of
#[utoipa::path(
    operation_id = "docs_file",
    tag = "operation",
    params(("file" = String, Path)),
    responses((status = 200, description = "A file of the page")),
)]
#[get("/docs/{file}")]
pub async fn file(file: web::Path<String>) -> Result<HttpResponse, Problem> {
    asset(&file)
}

/// The page's own policy: its scripts and styles come from here and from nowhere else; it styles inline.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                           img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

fn asset(name: &str) -> Result<HttpResponse, Problem> {
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
        Arc::new(Config::from("/openapi.json").supported_submit_methods(Vec::<String>::new()))
    });
    let missing = || Problem::new(Code::NotFound, "the documentation page has no such file");
    let found = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)).ok().flatten().ok_or_else(missing)?;
    let mut response = HttpResponse::Ok();
    response.content_type(found.content_type).insert_header((header::CONTENT_SECURITY_POLICY, PAGE_POLICY));
    if found.gzpipped {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    Ok(response.body(found.bytes.into_owned()))
}
