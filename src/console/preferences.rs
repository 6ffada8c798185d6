//! Handles the preferences form.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, post, web};

use super::cookies::{self, Life};
use super::look::{self, Theme, Zone};
use super::posted::Posted;
use super::sign_in::safe_return;
use super::{Console, Refusal, Signed};

#[post("/preferences")]
pub async fn change(
    console: web::Data<Console>,
    request: HttpRequest,
    signed: Signed,
    posted: Posted,
) -> Result<HttpResponse, Refusal> {
    let mut choice = signed.look.chosen().clone();
    // A form may contain only one of them.
    if let Some(theme) = Theme::parse(posted.text("theme")) {
        choice.theme = Some(theme);
    }
    if let Some(language) = look::language(posted.text("language")) {
        choice.language = Some(language);
    }
    if let Some(zone) = Zone::parse(posted.text("zone")) {
        choice.zone = Some(zone.name().to_owned());
    }
    drop(request);
    Ok(HttpResponse::SeeOther()
        .insert_header((
            header::SET_COOKIE,
            cookies::write(&console, cookies::LOOK, &choice.to_text(), Life::Long),
        ))
        .insert_header((header::LOCATION, safe_return(posted.text("return"))))
        .finish())
}
