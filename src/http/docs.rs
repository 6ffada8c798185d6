//! The OpenAPI 3.1 document, generated from the handlers, and a page that shows it without loading anything from
//! elsewhere.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use actix_web::http::header;
use actix_web::{HttpResponse, get, web};
use utoipa::IntoResponses;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Content, Info, OpenApi, Ref, RefOr, Response, ResponseBuilder, Tag};
use utoipa_swagger_ui::Config;

use super::error::{Code, PROBLEM_JSON, Problem};
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
        "Sends one-time passcodes by WhatsApp, falls back to SMS when a code is not delivered in time, and records \
         every step.\n\nTimes are RFC 3339 in UTC with milliseconds. Every error is a problem document (RFC 9457); \
         every answer carries `X-Request-Id`."
            .to_owned(),
    );
    document.info = info;
    document.tags = Some(vec![
        tag("verifications", "Send, check and follow codes"),
        tag("inbound", "Messages from people"),
        tag("webhooks", "Endpoints for providers"),
        tag("operation", "Endpoints for operators and monitoring"),
    ]);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("API key").build();
    // A route with two methods has one description, and so would repeat its operation id.
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

/// Problems of every request with an API key.
pub struct ApiProblems;

/// Problems of every request.
pub struct PublicProblems;

const FOR_API: &[Code] = &[
    Code::Unauthorized,
    Code::InvalidNumber,
    Code::NotTried,
    Code::UnknownProfile,
    Code::IdempotencyKeyReused,
];
const FOR_ALL: &[Code] = &[
    Code::MalformedBody,
    Code::NotFound,
    Code::MethodNotAllowed,
    Code::RequestTimeout,
    Code::BodyTooLarge,
    Code::UnsupportedMediaType,
    Code::InvalidRequest,
    Code::Internal,
    Code::RecordDamaged,
    Code::StoreFull,
    Code::StoreBusy,
    Code::TooManyConnections,
    Code::Draining,
];

impl IntoResponses for ApiProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(FOR_ALL.iter().chain(FOR_API))
    }
}

impl IntoResponses for PublicProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(FOR_ALL.iter())
    }
}

/// A response for each status, with the codes that have it.
fn problems<'a>(codes: impl Iterator<Item = &'a Code>) -> BTreeMap<String, RefOr<Response>> {
    let mut descriptions = BTreeMap::<String, Vec<String>>::new();
    for code in codes {
        let named = format!("`{}`: {}", code.as_str(), code.title());
        descriptions.entry(code.status().as_str().to_owned()).or_default().push(named);
    }
    let response = |named: Vec<String>| {
        let document = Content::new(Some(Ref::from_schema_name("Problem")));
        ResponseBuilder::new().description(named.join("; ")).content(PROBLEM_JSON, document).build().into()
    };
    descriptions.into_iter().map(|(status, named)| (status, response(named))).collect()
}

/// This document
#[utoipa::path(
    operation_id = "openapi",
    tag = "operation",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object), PublicProblems),
)]
#[get("/openapi.json")]
pub async fn openapi() -> HttpResponse {
    // Serialized once: serializing it per request would let callers keep a worker busy.
    static WRITTEN: LazyLock<web::Bytes> = LazyLock::new(|| {
        let json = serde_json::to_vec(document()).unwrap_or_default(); // strings, lists and maps of them always serialize
        web::Bytes::from(json)
    });
    HttpResponse::Ok().content_type("application/json").body(WRITTEN.clone())
}

/// Redirects to `/docs/`
#[utoipa::path(operation_id = "docs_page", tag = "operation", responses((status = 308, description = "To `/docs/`")))]
#[get("/docs")]
pub async fn page() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
}

/// The documentation page
#[utoipa::path(operation_id = "docs_index", tag = "operation", responses((status = 200, description = "HTML")))]
#[get("/docs/")]
pub async fn index() -> Result<HttpResponse, Problem> {
    asset("index.html")
}

/// A file of the documentation page
#[utoipa::path(
    operation_id = "docs_file",
    tag = "operation",
    params(("file" = String, Path)),
    responses((status = 200, description = "The file")),
)]
#[get("/docs/{file}")]
pub async fn file(file: web::Path<String>) -> Result<HttpResponse, Problem> {
    asset(&file)
}

/// Content security policy of the page: scripts and styles only from this server; inline styles are needed.
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
