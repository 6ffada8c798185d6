//! The sign-in page and signing out.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, get, post, rt, web};
use askama::Template;
use secrecy::SecretString;
use std::net::IpAddr;
use std::time::Duration;

use super::address::without_numbers;
use super::cookies::{self, CookieAge};
use super::device::Device;
use super::frame::{Frame, Tab};
use super::password::PasswordCheck;
use super::posted::PostedForm;
use super::preferences::Preferences;
use super::sessions::Token;
use super::sign_in_limit::{Network, Origin};
use super::words::sign_in::Words;
use super::{Console, CurrentUser, Refusal, current_user};
use crate::store::AuditAction;
use crate::verification::values::UserName;

const HOME: &str = "/console";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page {
    frame: Frame,
    words: &'static Words,
    csrf: String,
    next: String,
    name: String,
    error: Option<String>,
}

/// Why a sign-in failed.
enum SignInError {
    /// Wrong name or password; the response does not say which.
    Wrong,
    Slow(Duration),
    Busy,
}

#[get("/sign-in")]
pub async fn form(console: web::Data<Console>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    if console.users.now().is_empty() {
        return Err(Refusal::NoUsers);
    }
    let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    let pairs = query.map(web::Query::into_inner).unwrap_or_default();
    let next = pairs.into_iter().find(|(name, _)| name == "next").map(|(_, value)| value).unwrap_or_default();
    if CurrentUser::of(&console, request.headers(), current_user::Touch::Extend).is_some() {
        return Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, safe_return(&next))).finish());
    }
    show(&console, &request, safe_return(&next), "", None)
}

#[post("/sign-in")]
pub async fn submit(
    console: web::Data<Console>,
    request: HttpRequest,
    posted: PostedForm,
) -> Result<HttpResponse, Refusal> {
    if console.users.now().is_empty() {
        return Err(Refusal::NoUsers);
    }
    let next = safe_return(posted.text("next"));
    let typed = posted.text("name").trim();
    let password = SecretString::from(posted.text("password"));
    match authenticate(&console, &request, typed, password).await {
        Ok((name, device)) => {
            if let Some(old) = CurrentUser::of(&console, request.headers(), current_user::Touch::Passive) {
                console.sessions.close(old.session());
            }
            record(&console, name.clone(), AuditAction::SignedIn).await;
            let device = device.cookie(&console, &name);
            let token = console.sessions.open(name, console.clock.now());
            let session = cookies::write(&console, cookies::SESSION, &token.to_text(), CookieAge::Session);
            Ok(HttpResponse::SeeOther()
                .append_header((header::SET_COOKIE, session))
                .append_header((header::SET_COOKIE, device))
                .append_header((
                    header::SET_COOKIE,
                    cookies::write(&console, cookies::VISIT, "", CookieAge::Expired),
                ))
                .insert_header((header::LOCATION, next))
                .finish())
        }
        Err(error) => show(&console, &request, next, typed, Some(&error)),
    }
}

/// Verifies name and password, in the same time for known and unknown names. Returns the device, which is known from
/// now on.
async fn authenticate(
    console: &web::Data<Console>,
    request: &HttpRequest,
    typed: &str,
    password: SecretString,
) -> Result<(UserName, Device), SignInError> {
    let name = UserName::parse(typed).map_err(|_| SignInError::Wrong)?;
    let now = console.clock.now();
    let device = Device::known(console, request.headers(), &name);
    let origin = device.map_or_else(|| Origin::Address(network(request)), Origin::Device);
    if let Err(wait) = console.sign_in_limit.take_attempt(&name, origin, now) {
        return Err(SignInError::Slow(wait));
    }
    let users = console.users.now();
    let user = users.iter().find(|user| user.name == name);
    let Some(compared) = user.or(users.first()) else { return Err(SignInError::Wrong) };
    match (console.passwords.check(&compared.password_hash, password, origin).await, user) {
        (PasswordCheck::Right, Some(user)) => {
            console.sign_in_limit.succeed(&name, origin, now);
            Ok((user.name.clone(), device.unwrap_or_else(Device::new)))
        }
        (PasswordCheck::Busy, _) => {
            console.sign_in_limit.return_attempt(&name, origin, now);
            Err(SignInError::Busy)
        }
        (PasswordCheck::Right, None) => Err(SignInError::Wrong),
        (PasswordCheck::Wrong, _) => {
            tracing::warn!(known = user.is_some(), "a console sign-in failed");
            if user.is_some() {
                // Runs in the background, because waiting would reveal that the name exists.
                let console = console.clone();
                rt::spawn(async move { record(&console, name, AuditAction::SignInRefused).await });
            }
            Err(SignInError::Wrong)
        }
    }
}

/// The client's network address. The last entry of `X-Forwarded-For` is trusted only from a proxy on this machine.
fn network(request: &HttpRequest) -> Network {
    let peer = request.peer_addr().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip());
    let said = || {
        let lines = request.headers().get_all("x-forwarded-for").filter_map(|line| line.to_str().ok());
        lines.last()?.rsplit(',').next()?.trim().parse().ok()
    };
    let forwarded: Option<IpAddr> = if peer.to_canonical().is_loopback() { said() } else { None };
    Network::of(forwarded.unwrap_or(peer))
}

fn show(
    console: &Console,
    request: &HttpRequest,
    next: String,
    name: &str,
    error: Option<&SignInError>,
) -> Result<HttpResponse, Refusal> {
    let preferences = Preferences::of(console, request.headers(), None);
    let words = Words::of(preferences.language);
    let (status, error) = match error {
        None => (StatusCode::OK, None),
        Some(SignInError::Wrong) => (StatusCode::UNAUTHORIZED, Some(words.wrong.to_owned())),
        Some(SignInError::Slow(wait)) => {
            (StatusCode::TOO_MANY_REQUESTS, Some(words.slow.replace("{wait}", &words.wait(*wait))))
        }
        Some(SignInError::Busy) => (StatusCode::SERVICE_UNAVAILABLE, Some(words.busy.to_owned())),
    };
    let known = cookies::read(console, request.headers(), cookies::VISIT).and_then(Token::parse);
    let visit = known.clone().unwrap_or_else(Token::new);
    let mut response = HttpResponseBuilder::new(status);
    if known.is_none() {
        let cookie = cookies::write(console, cookies::VISIT, &visit.to_text(), CookieAge::Session);
        response.insert_header((header::SET_COOKIE, cookie));
    }
    let page = Page {
        frame: Frame::new(console, request, None, preferences, Tab::None, words.title),
        words,
        csrf: current_user::csrf(&console.vault, &visit),
        next,
        name: name.chars().filter(|letter| !letter.is_control()).take(UserName::MAX_BYTES).collect(),
        error,
    };
    Ok(response.content_type("text/html; charset=utf-8").body(page.render()?))
}

#[post("/sign-out")]
pub async fn sign_out(console: web::Data<Console>, signed: CurrentUser, _posted: PostedForm) -> HttpResponse {
    record(&console, signed.name.clone(), AuditAction::SignedOut).await;
    console.sessions.close(signed.session());
    signed_out(&console)
}

#[post("/sign-out-everywhere")]
pub async fn sign_out_everywhere(
    console: web::Data<Console>,
    signed: CurrentUser,
    _posted: PostedForm,
) -> HttpResponse {
    record(&console, signed.name.clone(), AuditAction::SignedOutEverywhere).await;
    console.sessions.close_all(&signed.name);
    signed_out(&console)
}

/// Failing to write the audit log does not block sign-in and sign-out, so that staff can investigate a full disk.
async fn record(console: &Console, name: UserName, action: AuditAction) {
    if console.record_by(name, action, None).await.is_err() {
        tracing::error!(action = action.as_str(), "the audit log could not be written");
    }
}

fn signed_out(console: &Console) -> HttpResponse {
    HttpResponse::SeeOther()
        .append_header((
            header::SET_COOKIE,
            cookies::write(console, cookies::SESSION, "", CookieAge::Expired),
        ))
        .insert_header((header::LOCATION, HeaderValue::from_static("/console/sign-in")))
        .finish()
}

/// Redirects to the sign-in page, with a way back.
pub fn redirect(request: &HttpRequest) -> HttpResponse {
    let wanted = request.uri().path_and_query().map_or(HOME, |path| path.as_str());
    let wanted = &*without_numbers(wanted);
    let place = if wanted == HOME {
        "/console/sign-in".to_owned()
    } else {
        format!("/console/sign-in?next={}", super::list::encoded(wanted))
    };
    HttpResponse::SeeOther().insert_header((header::LOCATION, place)).finish()
}

/// Validates a redirect target: only pages of the console are allowed.
pub fn safe_return(wanted: &str) -> String {
    let is_ours = wanted == HOME || wanted.starts_with("/console/") || wanted.starts_with("/console?");
    let is_plain =
        wanted.len() <= 2_048 && wanted.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let loops = wanted.starts_with("/console/sign-") || wanted.contains("..");
    if is_ours && is_plain && !loops { without_numbers(wanted) } else { HOME.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_on_this_site() {
        for fine in ["/console", "/console?status=pending", "/console/verifications/ver_1"] {
            assert_eq!(safe_return(fine), fine);
        }
        for foreign in [
            "",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/console\\..",
            "/console/../metrics",
            "/consoles",
            "/console/x\r\nSet-Cookie: a=b",
            "/console/sign-out",
            "javascript:alert(1)",
        ] {
            assert_eq!(safe_return(foreign), HOME, "{foreign}");
        }
    }
}
