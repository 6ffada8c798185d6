//! A single attempt: one request, and its outcome in a real store. The providers are real HTTP servers.

#[path = "support/spy.rs"]
mod spy;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use spy::Spy;
use tokio::sync::mpsc;
use twotick::changing::Changing;
use twotick::channel::webhook::Callback;
use twotick::channel::{self, Basis, Settings, Timeouts, http_sms, meta, twilio};
use twotick::clock::{Clock, ManualClock};
use twotick::courier::{Channels, Courier};
use twotick::phone::Phone;
use twotick::store::sled::{self, SledStore};
use twotick::store::*;
use twotick::vault::{Person, Vault, id_bits};
use twotick::verification::policy::{Content, OnDoubt, Policy, Step};
use twotick::verification::state::Progress;
use twotick::verification::values::*;
use twotick::verification::{Event, Fact, Request};
use wiremock::matchers::{body_partial_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const START: Timestamp = Timestamp::from_millis(1_795_000_000_000);
/// Shorter than the store's limit for an outcome, so that the attempt is still open at the expiry.
const TTL: Duration = Duration::from_secs(90);

struct House {
    _folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    store: SledStore,
    errands: mpsc::UnboundedReceiver<Errand>,
    vault: Arc<Vault>,
    provider: MockServer,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::starting_at(START);
        let vault = Arc::new(Vault::new(&[7; 32]));
        let settings = sled::Settings {
            path: folder.path().join("data"),
            rates: BTreeMap::new(),
            key_id: vault.key_id(),
            limits: sled::Limits::default(),
        };
        let (store, errands) = sled::open(settings, Clock::Manual(Arc::clone(&clock))).unwrap();
        Self { _folder: folder, clock, store, errands, vault, provider: MockServer::start().await }
    }

    fn courier(&self) -> Courier {
        self.courier_with(Arc::new(self.store.clone()), Arc::clone(&self.vault))
    }

    fn courier_with(&self, store: Arc<dyn Store>, vault: Arc<Vault>) -> Courier {
        Courier::new(
            store,
            Arc::new(Changing::new(channels(&self.provider.uri()))),
            vault,
            Clock::Manual(self.clock.clone()),
        )
    }

    /// Requests a code and takes the resulting errand.
    async fn errand(&mut self, locale: &str, steps: Vec<Step>) -> Errand {
        let phone = Phone::parse("+4915228817386").unwrap();
        let number = self.vault.number_index(&phone);
        let id = VerificationId::new(self.clock.now(), number.bucket(), id_bits());
        let policy = Arc::new(Policy {
            profile: "login".to_owned(),
            brand: "{code} & Co".to_owned(),
            code_length: 6,
            code_ttl: TTL,
            max_checks: 5,
            resend_after_ms: Vec::new(),
            default_locale: "en".to_owned(),
            steps,
        });
        let person = Person { to: phone.as_e164().to_owned(), metadata: BTreeMap::new() };
        let request = Arc::new(Request {
            id,
            app: AppName::new("shop"),
            policy: policy.hash(),
            number,
            tail: None,
            person: self.vault.seal_person(id, &person).unwrap(),
            country: None,
            locale: Some(locale.to_owned()),
            client_ref: None,
            code: self.vault.new_code(id).unwrap(),
        });
        let create = Order::Create { request, policy, idempotency: None };
        let answers = self.store.execute(vec![create]).await.unwrap();
        assert!(matches!(answers[..], [Answer::Created(_)]), "{answers:?}");
        self.errands.recv().await.unwrap()
    }

    async fn facts(&self, errand: &Errand) -> Vec<Fact> {
        let events = self.store.timeline(errand.snapshot.verification.id()).await.unwrap();
        events.into_iter().map(|event: Event| event.fact).collect()
    }

    async fn requests(&self) -> Vec<Value> {
        let requests = self.provider.received_requests().await.unwrap();
        requests.iter().map(|request| request.body_json().unwrap()).collect()
    }
}

fn channels(uri: &str) -> Channels {
    let whatsapp = Settings::Meta(meta::Settings {
        graph_url: uri.to_owned(),
        graph_version: "v25.0".to_owned(),
        phone_number_id: "1".to_owned(),
        business_account_id: "2".to_owned(),
        access_token: "token".into(),
        app_secrets: vec!["0123456789abcdef".into()],
        verify_token: "verify-me".into(),
    });
    let sms = Settings::Http(http_sms::Settings::documented(
        &format!("{uri}/sms"),
        "Acme",
        "token".into(),
        "0123456789abcdef".into(),
    ));
    let basis = |name: &str| {
        let name = ChannelName::new(name);
        let timeouts = Timeouts { connect: Duration::from_secs(2), whole: Duration::from_secs(5) };
        Basis { callback: Callback::new("https://otp.example.com", &name), name, timeouts }
    };
    let by_id = Settings::Twilio(twilio::Settings {
        base_url: uri.to_owned(),
        account_sid: "AC00".to_owned(),
        auth_tokens: vec!["0123456789abcdef".into()],
        api_key: None,
        sender: twilio::Sender::From("+14155550199".to_owned()),
        via: twilio::Via::WhatsApp,
        content_sids: Some(entries(&CONTENTS)),
    });
    channel::all([(basis("whatsapp"), whatsapp), (basis("sms"), sms), (basis("by_id"), by_id)]).unwrap()
}

/// Content ids of a provider, by locale.
const CONTENTS: [(&str, &str); 2] = [("en", "HX01"), ("de", "HX02")];

fn by_sms(deliver_within: Option<Duration>) -> Step {
    let texts = [
        ("en", "{code} is your {brand} code, {minutes} min. {other}"),
        ("de", "{code} ist Ihr {brand}-Code, {minutes} Min."),
    ];
    step("sms", Content::Text { by_locale: entries(&texts) }, deliver_within)
}

fn by_whatsapp() -> Step {
    let languages = entries(&[("en", "en_US"), ("de", "de")]);
    step("whatsapp", Content::Template { name: "login_code".to_owned(), languages }, Some(TTL / 2))
}

fn step(channel: &str, content: Content, deliver_within: Option<Duration>) -> Step {
    let channel = ChannelName::new(channel);
    let in_doubt_wait = Duration::from_secs(15);
    Step { channel, content, deliver_within, in_doubt_wait, on_doubt: OnDoubt::ResendOnce }
}

fn entries(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

async fn carrier_accepts(house: &House) {
    let accepted = ResponseTemplate::new(200).set_body_json(json!({ "id": "c-1" }));
    Mock::given(method("POST")).and(path("/sms")).respond_with(accepted).mount(&house.provider).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_rendered_in_the_apps_language_with_the_minutes_left() {
    let mut house = House::new().await;
    carrier_accepts(&house).await;
    let errand = house.errand("de-AT", vec![by_sms(None)]).await;
    house.clock.advance(Duration::from_secs(31));
    house.courier().carry_out(&errand).await;

    let code = house.vault.code(&errand.snapshot.verification.request, 6).unwrap();
    let code = secrecy::ExposeSecret::expose_secret(&code);
    let [request] = &house.requests().await[..] else { panic!("one request") };
    assert_eq!(request["text"], format!("{code} ist Ihr {{code}} & Co-Code, 1 Min."));
    assert_eq!((&request["to"], &request["from"]), (&json!("+4915228817386"), &json!("Acme")));
    let message = errand.snapshot.verification.message_id(errand.message);
    assert_eq!(request["reference"], message.to_string());
    let facts = house.facts(&errand).await;
    assert!(matches!(facts.last(), Some(Fact::SendAccepted { attempt: 1, .. })), "{facts:?}");

    // Non-placeholders stay unchanged, and an unknown language falls back to the default.
    let mut house = House::new().await;
    carrier_accepts(&house).await;
    let errand = house.errand("fr", vec![by_sms(None)]).await;
    house.courier().carry_out(&errand).await;
    let text = house.requests().await[0]["text"].as_str().unwrap().to_owned();
    assert!(text.ends_with(" is your {code} & Co code, 2 min. {other}"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_an_id_is_accepted_and_nothing_is_sent_twice() {
    for answer in [ResponseTemplate::new(204), ResponseTemplate::new(200).set_body_string("OK")] {
        let mut house = House::new().await;
        Mock::given(method("POST")).and(path("/sms")).respond_with(answer).mount(&house.provider).await;
        let errand = house.errand("en", vec![by_sms(None)]).await;
        house.courier().carry_out(&errand).await;
        let facts = house.facts(&errand).await;
        assert!(matches!(facts.last(), Some(Fact::SendAccepted { provider_ref: None, .. })), "{facts:?}");
        // Longer than the last step waits in doubt.
        house.clock.advance(Duration::from_secs(60));
        assert_eq!(house.store.sweep_missed().await, Ok(0));
        assert!(house.errands.try_recv().is_err());
        assert_eq!(house.requests().await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_sent_in_its_language() {
    let mut house = House::new().await;
    let accepted = ResponseTemplate::new(200).set_body_json(json!({ "messages": [{ "id": "wamid.1" }] }));
    let template = json!({ "template": { "name": "login_code", "language": { "code": "de" } } });
    let route = Mock::given(method("POST")).and(path("/v25.0/1/messages")).and(body_partial_json(template));
    route.respond_with(accepted).expect(1).mount(&house.provider).await;
    let errand = house.errand("de", vec![by_whatsapp(), by_sms(None)]).await;
    house.courier().carry_out(&errand).await;
    let facts = house.facts(&errand).await;
    assert!(matches!(facts.last(), Some(Fact::SendAccepted { .. })), "{facts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_once_the_code_has_expired() {
    let mut house = House::new().await;
    carrier_accepts(&house).await;
    let errand = house.errand("en", vec![by_sms(None)]).await;
    // Otherwise the store would declare the attempt in doubt before the courier runs.
    house.store.rest().await.unwrap();
    house.clock.advance(TTL);
    house.courier().carry_out(&errand).await;
    assert!(house.requests().await.is_empty());
    let refusals = refusals(&house.facts(&errand).await);
    assert_eq!(refusals, ["expired_before_send"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn undecryptable_data_is_not_sent_and_falls_back() {
    let mut house = House::new().await;
    carrier_accepts(&house).await;
    let errand = house.errand("en", vec![by_sms(Some(TTL / 2)), by_sms(None)]).await;
    let stranger = house.courier_with(Arc::new(house.store.clone()), Arc::new(Vault::new(&[8; 32])));
    stranger.carry_out(&errand).await;
    assert!(house.requests().await.is_empty());
    let facts = house.facts(&errand).await;
    assert_eq!(refusals(&facts), ["record_damaged"]);
    assert!(facts.iter().any(|fact| matches!(fact, Fact::FellBack { .. })), "{facts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_sent_by_its_id_in_the_requested_language() {
    for (locale, sid) in [("de-AT", "HX02"), ("en", "HX01"), ("fr", "HX01")] {
        let mut house = House::new().await;
        let accepted = ResponseTemplate::new(201).set_body_json(json!({ "sid": "SM1" }));
        let messages = path("/2010-04-01/Accounts/AC00/Messages.json");
        Mock::given(method("POST")).and(messages).respond_with(accepted).mount(&house.provider).await;
        let by_id = step("by_id", Content::ById { ids: entries(&CONTENTS) }, None);
        let errand = house.errand(locale, vec![by_id]).await;
        house.courier().carry_out(&errand).await;
        let requests = house.provider.received_requests().await.unwrap();
        let form: BTreeMap<_, _> = form_urlencoded::parse(&requests[0].body).collect();
        assert_eq!(form["ContentSid"], sid, "{locale}");
        assert!(form["ContentVariables"].starts_with("{\"1\":\"") && !form.contains_key("Body"), "{locale}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_channel_is_refused() {
    let mut house = House::new().await;
    let content = Content::Text { by_locale: entries(&[("en", "{code}")]) };
    let errand = house.errand("en", vec![step("carrier-pigeon", content, None)]).await;
    house.courier().carry_out(&errand).await;
    assert_eq!(refusals(&house.facts(&errand).await), ["unknown_channel"]);
}

fn refusals(facts: &[Fact]) -> Vec<String> {
    let refusal = |fact: &Fact| match fact {
        Fact::SendRefused { error, .. } => Some(error.code.clone()),
        _ => None,
    };
    facts.iter().filter_map(refusal).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_is_submitted_until_accepted_without_resending() {
    for error in [StoreError::Busy, StoreError::Full] {
        let mut house = House::new().await;
        carrier_accepts(&house).await;
        let errand = house.errand("en", vec![by_sms(None)]).await;
        let refusing = Arc::new(Spy::refusing(house.store.clone(), error, 4));
        house.courier_with(refusing.clone(), Arc::clone(&house.vault)).carry_out(&errand).await;
        assert_eq!(refusing.refusals_left(), 0);
        assert_eq!(house.requests().await.len(), 1);
        let facts = house.facts(&errand).await;
        assert!(matches!(facts.last(), Some(Fact::SendAccepted { .. })), "{facts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resting_store_starts_nothing_and_accepts_outcomes() {
    let mut house = House::new().await;
    carrier_accepts(&house).await;
    let errand = house.errand("en", vec![by_sms(Some(TTL / 2)), by_sms(None)]).await;
    house.store.rest().await.unwrap();
    house.courier().carry_out(&errand).await;
    let facts = house.facts(&errand).await;
    assert!(matches!(facts.last(), Some(Fact::SendAccepted { .. })), "{facts:?}");

    house.clock.advance(TTL / 2);
    // By the time it answers, the store has processed its agenda.
    let snapshot = house.store.read(errand.snapshot.verification.id()).await.unwrap().unwrap();
    assert_eq!(house.store.sweep_missed().await, Ok(0));
    assert_eq!(snapshot.verification.messages.len(), 1);
    assert_eq!(snapshot.verification.messages[0].progress, Progress::Accepted);
    assert!(house.errands.try_recv().is_err());
}
