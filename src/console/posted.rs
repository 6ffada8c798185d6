//! PostedForm forms. A form without the session's CSRF token never reaches a handler.

use std::collections::BTreeMap;
use std::fmt;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::sessions::Token;
use super::{Console, Refusal, cookies, current_user};

/// Enough for the largest form; reason and password have their own lower limits.
const MAX_BYTES: usize = 16 * 1_024;

/// The fields of a form with a valid token. Each occurs once.
pub struct PostedForm {
    fields: BTreeMap<String, Zeroizing<String>>,
}

impl PostedForm {
    /// All fields except the token.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let fields = self.fields.iter().filter(|(name, _)| *name != "csrf");
        fields.map(|(name, value)| (name.clone(), (**value).clone())).collect()
    }

    /// The value of a field, or an empty string.
    pub fn text(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |text| text)
    }
}

impl fmt::Debug for PostedForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.fields.keys()).finish()
    }
}

impl FromRequest for PostedForm {
    type Error = Refusal;
    type Future = LocalBoxFuture<'static, Result<Self, Refusal>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let console = request.app_data::<web::Data<Console>>().ok_or(Refusal::Internal)?;
            let fields = parse(&read(payload).await?)?;
            let posted = Self { fields };
            let expected = expected_token(console, &request).ok_or(Refusal::StaleForm)?;
            let is_right = expected.as_bytes().ct_eq(posted.text("csrf").as_bytes());
            if bool::from(is_right) { Ok(posted) } else { Err(Refusal::StaleForm) }
        })
    }
}

/// The token of the session, or that of the visit if nobody is signed in.
fn expected_token(console: &Console, request: &HttpRequest) -> Option<String> {
    if let Some(signed) =
        current_user::CurrentUser::of(console, request.headers(), current_user::Touch::Passive)
    {
        return Some(signed.csrf);
    }
    let visit = Token::parse(cookies::read(console, request.headers(), cookies::VISIT)?)?;
    Some(current_user::csrf(&console.vault, &visit))
}

async fn read(mut payload: Payload) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let mut body = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Refusal::BadRequest)?;
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(Refusal::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn parse(body: &[u8]) -> Result<BTreeMap<String, Zeroizing<String>>, Refusal> {
    let text = std::str::from_utf8(body).map_err(|_| Refusal::BadRequest)?;
    let pairs = web::Query::<Vec<(String, String)>>::from_query(text).map_err(|_| Refusal::BadRequest)?;
    let mut fields = BTreeMap::new();
    for (name, value) in pairs.into_inner() {
        if fields.insert(name, Zeroizing::new(value)).is_some() {
            return Err(Refusal::BadRequest);
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_fields_are_refused_and_values_are_not_printed() {
        let fields = parse(b"csrf=a&password=open+sesame%21").unwrap();
        let posted = PostedForm { fields };
        assert_eq!(posted.text("password"), "open sesame!");
        assert_eq!(posted.text("nothing"), "");
        assert_eq!(format!("{posted:?}"), r#"{"csrf", "password"}"#);
        assert_eq!(parse(b"csrf=a&csrf=b").unwrap_err(), Refusal::BadRequest);
        assert_eq!(parse(&[0xff]).unwrap_err(), Refusal::BadRequest);
    }
}
