//! Creating a verification, or resending a pending one.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, post, web};
use metrics::counter;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::auth::Caller;
use super::super::docs::ApiProblems;
use super::super::error::{Code, Problem};
use super::super::input::{API_BODY_LIMIT, Fields, Query, pointer, read_body, require_json};
use super::super::view::View;
use super::super::{CustomCode, Profile, Shared, metrics as names};
use super::{execute, note, typed, wrong_answer};
use crate::phone::Phone;
use crate::store::{Answer, FirstOccasion, Idempotency, Order, Snapshot};
use crate::vault::{self, Person};
use crate::verification::Request;
use crate::verification::values::VerificationId;

/// Send a code to a number
///
/// The answer is sent once the verification is durable; messages are sent later. If a verification of the same app,
/// profile and number is pending, this is a resend: 200 instead of 201, with that verification and the same code.
#[utoipa::path(
    operation_id = "create_verification",
    tag = "verifications",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible characters, remembered for 24 h: the same request (the same values, however they are written) gets the first answer again", example = "0f2c7e9a-order-17")),
    request_body = CreateVerification,
    responses(
        (status = 201, body = View, description = "A new verification", headers(("Location" = String), ("ETag" = String), ("Idempotent-Replayed" = Option<String>, description = "`true` on a repeated answer"))),
        (status = 200, body = View, description = "The pending verification; its code is sent again"),
        (status = 409, description = "`idempotency_key_in_use`", body = crate::http::error::Document, content_type = "application/problem+json"),
        (status = 429, description = "`resend_too_early` with `Retry-After`, or `resend_limit`", body = crate::http::error::Document, content_type = "application/problem+json"),
        ApiProblems,
    ),
    security(("api_key" = [])),
)]
#[post("/v1/verifications")]
pub async fn create(
    shared: web::Data<Shared>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    Query::parse(&request)?.finish()?;
    let key = idempotency_key(&shared, &caller, &request)?;
    let body = read_body(&request, payload, API_BODY_LIMIT).await?;
    require_json(&request)?;
    let fields = Fields::parse(&body)?;
    let profiles = shared.profiles.now();
    let Some(key) = key else {
        let order = wanted(&profiles, &caller, fields)?.order(&shared, &caller, None)?;
        return carry_out(&shared, &request, order, [0; 16]).await;
    };
    let _under_way = UnderWay::enter(&shared.creating, key)?;
    let fingerprint = shared.vault.fingerprint("idempotent request", &canonical(&fields, &profiles));
    if let Some(first) = shared.store.idempotency(key).await? {
        return replay(&shared, &request, &first, fingerprint).await;
    }
    let idempotency = Idempotency { key, fingerprint, at: shared.clock.now(), answer: None };
    let order = wanted(&profiles, &caller, fields)?.order(&shared, &caller, Some(idempotency))?;
    carry_out(&shared, &request, order, fingerprint).await
}

/// Body of a create.
#[derive(ToSchema)]
#[schema(example = json!({ "to": "+4915228817386", "profile": "login", "locale": "de", "client_ref": "order-17",
    "metadata": { "cart": "9" } }))]
#[expect(
    dead_code,
    reason = "only described; `wanted` reads the fields one by one to name all that is wrong"
)]
pub struct CreateVerification {
    /// E.164 with `+`.
    to: String,
    /// Profile name; may be left out if there is only one profile.
    profile: Option<String>,
    /// Language of the message, such as `de` or `pt-BR`. Looked up by BCP 47: case does not matter, `-` and `_` are
    /// equivalent, shorter tags match longer ones. Falls back to the profile's default.
    locale: Option<String>,
    /// The app's own reference, for searches.
    #[schema(max_length = 128)]
    client_ref: Option<String>,
    /// The app's own code; only if the profile says `allow_custom_code = true`.
    #[schema(pattern = "^[0-9A-Za-z]{4,10}$", example = "493817")]
    code: Option<String>,
    /// Up to 16 string pairs, returned with the verification. Keys up to 64 characters, values up to 512, at most 8 KiB
    /// in total.
    metadata: Option<BTreeMap<String, String>>,
}

const MAX_CLIENT_REF_CHARS: usize = 128;
const MAX_METADATA_PAIRS: usize = 16;
const MAX_METADATA_KEY_CHARS: usize = 64;
const MAX_METADATA_VALUE_CHARS: usize = 512;
/// Limit of the metadata as JSON: encrypted together with the number it must fit into one record of the store.
const MAX_METADATA_BYTES: usize = 8 * 1024;
/// The longest registered language tags have 35 (RFC 5646, section 4.4.1).
const MAX_LOCALE_CHARS: usize = 35;
const MAX_IDEMPOTENCY_KEY_CHARS: usize = 255;

/// A validated create request.
struct Wanted<'a> {
    to: Phone,
    profile: &'a Profile,
    locale: Option<String>,
    client_ref: Option<String>,
    code: Option<String>,
    metadata: BTreeMap<String, String>,
}

/// Canonical bytes of the request, for comparison: a field that is null or has its default value is left out.
fn canonical(fields: &Fields, profiles: &BTreeMap<String, Profile>) -> Vec<u8> {
    let is_said = |(name, value): &(&str, &Value)| match *name {
        "metadata" => value.as_object().is_none_or(|pairs| !pairs.is_empty()),
        "profile" => profiles.len() != 1 || value.as_str().is_none_or(|name| !profiles.contains_key(name)),
        _ => true,
    };
    let said: BTreeMap<_, _> = fields.given().filter(is_said).collect();
    // Maps of strings always serialize.
    serde_json::to_vec(&said).unwrap_or_default()
}

fn wanted<'a>(
    profiles: &'a BTreeMap<String, Profile>,
    caller: &Caller,
    mut fields: Fields,
) -> Result<Wanted<'a>, Problem> {
    let to = number(&mut fields);
    let profile = profile(&mut fields, profiles);
    let locale = locale(&mut fields);
    let client_ref = client_ref(&mut fields);
    let code = code(&mut fields, profile);
    let metadata = metadata(&mut fields);
    fields.finish()?;
    // Without either, `finish` has returned an error.
    let (Some(to), Some(profile)) = (to, profile) else {
        tracing::error!(app = %caller.0, "a request without number or profile passed validation");
        return Err(Problem::internal());
    };
    Ok(Wanted { to, profile, locale, client_ref, code, metadata })
}

impl Wanted<'_> {
    fn order(
        self,
        shared: &Shared,
        caller: &Caller,
        idempotency: Option<Idempotency>,
    ) -> Result<Order, Problem> {
        let number = shared.vault.number_index(&self.to);
        let id = VerificationId::new(shared.clock.now(), number.bucket(), vault::id_bits());
        let person = Person { to: self.to.as_e164().to_owned(), metadata: self.metadata };
        let request = Request {
            id,
            app: caller.0.clone(),
            policy: self.profile.policy.hash(),
            number,
            tail: Some(shared.vault.number_tail(self.to.last_four())),
            person: shared.vault.seal_person(id, &person)?,
            country: self.to.country().map(str::to_owned),
            locale: self.locale,
            client_ref: self.client_ref,
            code: match &self.code {
                Some(code) => shared.vault.custom_code(id, code)?,
                None => shared.vault.new_code(id)?,
            },
        };
        let policy = Arc::clone(&self.profile.policy);
        Ok(Order::Create { request: Arc::new(request), policy, idempotency })
    }
}

fn number(fields: &mut Fields) -> Option<Phone> {
    match Phone::parse(&fields.required_text("to")?) {
        Ok(phone) => Some(phone),
        Err(error) => {
            fields.refuse(Code::InvalidNumber, "/to", error.to_string());
            None
        }
    }
}

fn profile<'a>(fields: &mut Fields, profiles: &'a BTreeMap<String, Profile>) -> Option<&'a Profile> {
    let names = || profiles.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let given = fields.has("profile");
    match fields.text("profile") {
        Some(name) => {
            let profile = profiles.get(&name);
            if profile.is_none() {
                let detail = format!("no such profile; allowed: {}", names());
                fields.refuse(Code::UnknownProfile, "/profile", detail);
            }
            profile
        }
        // Not a string, which is reported already.
        None if given => None,
        None if profiles.len() == 1 => profiles.values().next(),
        None => {
            let detail = format!("is required, because there are several profiles: {}", names());
            fields.refuse(Code::InvalidRequest, "/profile", detail);
            None
        }
    }
}

fn locale(fields: &mut Fields) -> Option<String> {
    let locale = fields.text("locale")?;
    let lawful = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if (2..=MAX_LOCALE_CHARS).contains(&locale.len()) && locale.chars().all(lawful) {
        return Some(locale);
    }
    fields.refuse(Code::InvalidRequest, "/locale", "must be a language tag such as `de` or `pt_BR`");
    None
}

fn client_ref(fields: &mut Fields) -> Option<String> {
    let client_ref = fields.text("client_ref")?;
    let chars = client_ref.chars().count();
    if (1..=MAX_CLIENT_REF_CHARS).contains(&chars) && !client_ref.chars().any(char::is_control) {
        return Some(client_ref);
    }
    let detail = format!("must be 1 to {MAX_CLIENT_REF_CHARS} characters without control characters");
    fields.refuse(Code::InvalidRequest, "/client_ref", detail);
    None
}

fn code(fields: &mut Fields, profile: Option<&Profile>) -> Option<String> {
    let code = fields.text("code")?;
    if profile.is_some_and(|profile| profile.custom_code == CustomCode::Refused) {
        let detail = "this profile generates its codes; `allow_custom_code = true` would allow custom ones";
        fields.refuse(Code::InvalidRequest, "/code", detail);
        return None;
    }
    if typed::is_custom_code(&code) {
        return Some(code);
    }
    fields.refuse(Code::InvalidRequest, "/code", typed::CUSTOM_CODE);
    None
}

fn metadata(fields: &mut Fields) -> BTreeMap<String, String> {
    let mut metadata = BTreeMap::new();
    match fields.take("metadata") {
        None | Some(Value::Null) => {}
        Some(Value::Object(pairs)) if pairs.len() <= MAX_METADATA_PAIRS => {
            for (name, value) in pairs {
                let place = format!("/metadata{}", pointer(&name));
                match value {
                    Value::String(value)
                        if (1..=MAX_METADATA_KEY_CHARS).contains(&name.chars().count())
                            && value.chars().count() <= MAX_METADATA_VALUE_CHARS =>
                    {
                        metadata.insert(name, value);
                    }
                    Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::String(_)
                    | Value::Array(_)
                    | Value::Object(_) => {
                        let detail = format!(
                            "must be a string of at most {MAX_METADATA_VALUE_CHARS} characters under a name of \
                             1 to {MAX_METADATA_KEY_CHARS}"
                        );
                        fields.refuse(Code::InvalidRequest, &place, detail);
                    }
                }
            }
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
            let detail = format!("must be an object of at most {MAX_METADATA_PAIRS} strings");
            fields.refuse(Code::InvalidRequest, "/metadata", detail);
        }
    }
    if serde_json::to_string(&metadata).is_ok_and(|written| written.len() > MAX_METADATA_BYTES) {
        let detail = format!("must have at most {MAX_METADATA_BYTES} bytes in all");
        fields.refuse(Code::InvalidRequest, "/metadata", detail);
    }
    metadata
}

async fn carry_out(
    shared: &Shared,
    request: &HttpRequest,
    order: Order,
    fingerprint: [u8; 16],
) -> Result<HttpResponse, Problem> {
    match execute(shared, order).await? {
        Answer::Created(snapshot) => {
            counter!(names::VERIFICATIONS_CREATED, "profile" => snapshot.policy.profile.clone()).increment(1);
            first_answer(shared, request, &snapshot, FirstOccasion::Created)
        }
        Answer::Resent(snapshot) => first_answer(shared, request, &snapshot, FirstOccasion::Resent),
        Answer::Replayed(first) => replay(shared, request, &first, fingerprint).await,
        Answer::Rejected { rejection, id } => {
            if let Some(id) = id {
                note(request, id);
            }
            Err(Problem::rejected(&rejection, id, shared.clock.now()))
        }
        Answer::Done { .. } | Answer::Reported(_) | Answer::Kept | Answer::Forgotten(_) => {
            Err(wrong_answer("to a create"))
        }
    }
}

fn first_answer(
    shared: &Shared,
    request: &HttpRequest,
    snapshot: &Snapshot,
    occasion: FirstOccasion,
) -> Result<HttpResponse, Problem> {
    let view = View::new(snapshot, &shared.vault)?;
    note(request, view.id);
    Ok(match occasion {
        FirstOccasion::Created => {
            let location = format!("/v1/verifications/{}", view.id);
            view.head(StatusCode::CREATED).insert_header((header::LOCATION, location)).body(view.to_json())
        }
        FirstOccasion::Resent => view.respond(StatusCode::OK),
    })
}

/// The first answer, byte for byte, rebuilt from the verification as it was then; without what was erased meanwhile.
async fn replay(
    shared: &Shared,
    request: &HttpRequest,
    first: &Idempotency,
    fingerprint: [u8; 16],
) -> Result<HttpResponse, Problem> {
    if first.fingerprint != fingerprint {
        let detail = "this key was first used with other values; nothing was done";
        return Err(Problem::new(Code::IdempotencyKeyReused, detail));
    }
    let Some(answer) = first.answer else { return Err(wrong_answer("an idempotency key without one")) };
    let now = shared.store.read(answer.id).await?.ok_or_else(Problem::not_found)?;
    let then = shared.store.read_at(answer.id, answer.version).await?.ok_or_else(Problem::not_found)?;
    let mut snapshot = Snapshot::clone(&then);
    snapshot.verification.erased = now.verification.erased;
    let mut response = first_answer(shared, request, &snapshot, answer.occasion)?;
    response.headers_mut().insert(
        header::HeaderName::from_static("idempotent-replayed"),
        header::HeaderValue::from_static("true"),
    );
    Ok(response)
}

/// Keyed hash of app and `Idempotency-Key`. The header may be a bare or a quoted string (RFC 9651).
fn idempotency_key(
    shared: &Shared,
    caller: &Caller,
    request: &HttpRequest,
) -> Result<Option<[u8; 16]>, Problem> {
    let mut values = request.headers().get_all("idempotency-key");
    let Some(value) = values.next() else { return Ok(None) };
    let wrong = || {
        let detail =
            format!("must be 1 to {MAX_IDEMPOTENCY_KEY_CHARS} visible characters, bare or quoted, once");
        Problem::field(Code::InvalidRequest, "/Idempotency-Key", detail)
    };
    let text = value.to_str().map_err(|_| wrong())?.trim();
    let key = match text.strip_prefix('"') {
        Some(quoted) => {
            quoted.strip_suffix('"').ok_or_else(wrong)?.replace("\\\"", "\"").replace("\\\\", "\\")
        }
        None => text.to_owned(),
    };
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if values.next().is_some() || !(1..=MAX_IDEMPOTENCY_KEY_CHARS).contains(&key.len()) || !visible {
        return Err(wrong());
    }
    let of_app = format!("{}\0{key}", caller.0);
    Ok(Some(shared.vault.fingerprint("idempotency key", of_app.as_bytes())))
}

/// Marks an idempotency key as in progress until dropped. Per process: of two requests with one key at two
/// processes on one store, the slower one finds the stored record and replays its answer.
struct UnderWay<'a> {
    keys: &'a Mutex<HashSet<[u8; 16]>>,
    key: [u8; 16],
}

impl<'a> UnderWay<'a> {
    fn enter(keys: &'a Mutex<HashSet<[u8; 16]>>, key: [u8; 16]) -> Result<Self, Problem> {
        if keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key) {
            return Ok(Self { keys, key });
        }
        let detail = "the first request with this key is not answered yet";
        Err(Problem::new(Code::IdempotencyKeyInUse, detail).retry_after(Duration::from_secs(1)))
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
