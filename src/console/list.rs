//! The list of verifications, newest first.

use actix_web::{HttpRequest, HttpResponse, get, web};
use askama::Template;

use super::words::list::Words;
use super::{Console, Frame, Place, Refusal, Signed};

#[derive(Template)]
#[template(path = "list.html")]
struct Page {
    frame: Frame,
    words: &'static Words,
}

#[get("")]
pub async fn page(
    console: web::Data<Console>,
    request: HttpRequest,
    signed: Signed,
) -> Result<HttpResponse, Refusal> {
    let words = Words::of(signed.look.language);
    let frame = Frame::of(&console, &request, &signed, Place::Verifications, words.title);
    super::page(&Page { frame, words })
}

/// Percent-encoded for a query.
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
