//! Stored events can be read again, and no `Debug` output reveals personal data.

use std::fmt::Debug;

use twotick::verification::command::CodeSource;
use twotick::verification::event::{AbandonReason, Aim, FallbackReason, Occasion, OperatorAction, Standing};
use twotick::verification::values::{
    Bucket, ChannelName, DeliveryError, ErrorClass, NumberIndex, NumberTail, Ordinal, ProviderRef,
    ReportStatus, Runner, Sealed, Timestamp, UserName, VerificationId,
};
use twotick::verification::{Command, Fact, Policy, PolicyHash, Request, State};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::story::*;

/// The permanent names of facts in storage.
pub const KINDS: [&str; 21] = [
    "requested",
    "message_queued",
    "send_started",
    "send_accepted",
    "send_refused",
    "send_in_doubt",
    "reported",
    "fell_back",
    "step_skipped",
    "gave_up",
    "check_passed",
    "check_failed",
    "checks_exhausted",
    "resend_requested",
    "reply_received",
    "code_disowned",
    "expired",
    "canceled",
    "operator_acted",
    "erased",
    "abandoned",
];

#[test]
fn every_fact_round_trips() {
    let config = Config { cases: 4_000, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&fact(), |fact| {
        let kept = serde_json::to_string(&fact).expect("a fact can be written");
        prop_assert!(KINDS.contains(&kind(&fact)) && kept.contains(kind(&fact)), "{}", kept);
        let compact = minicbor::to_vec(&fact).expect("a fact can be written");
        prop_assert_eq!(&minicbor::decode::<Fact>(&compact).expect("what was written can be read"), &fact);
        prop_assert_eq!(serde_json::from_str::<Fact>(&kept).expect("what was written can be read"), fact);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn words_are_equal_in_storage_and_display() {
    let shown = |word: &str| serde_json::json!(word);
    for reason in FallbackReason::ALL {
        assert_eq!(serde_json::json!(reason), shown(reason.as_str()));
    }
    use OperatorAction::{Cancel, Next, Resend, Reveal};
    for action in [Reveal, Resend, Next, Cancel] {
        assert_eq!(serde_json::json!(action), shown(action.as_str()));
    }
}

#[test]
fn defaults_are_not_stored() {
    let kept = |standing| {
        let facts = [
            Fact::ReplyReceived { message: None, kind: "text".to_owned(), standing },
            Fact::CodeDisowned { message: None, standing, aim: Aim::This },
        ];
        facts.map(|fact| serde_json::to_string(&fact).expect("a fact can be written"))
    };
    let usual = [r#"{"reply_received":{"kind":"text"}}"#, r#"{"code_disowned":{}}"#];
    assert_eq!(kept(Standing::Applied), usual);
    assert!(kept(Standing::Stale).iter().all(|kept| kept.contains(r#""standing":"stale""#)));
}

#[test]
fn a_fact_of_a_later_version_with_more_fields_can_be_read() {
    let kept = r#"{"send_started":{"message":1,"attempt":2,"runner":7,"by_worker":"of a later version"}}"#;
    assert_eq!(
        serde_json::from_str::<Fact>(kept).expect("an unknown field is left alone"),
        send_started(1, 2)
    );
}

#[test]
fn a_policy_round_trips_with_the_same_hash() {
    let policy = policy();
    let kept = serde_json::to_string(&policy).expect("a policy can be written");
    let reread: Policy = serde_json::from_str(&kept).expect("what was written can be read");
    assert_eq!((reread.hash(), &reread), (policy.hash(), &policy));
    assert_ne!(Policy { max_checks: 4, ..policy.clone() }.hash(), policy.hash());
    let hash = serde_json::to_string(&policy.hash()).expect("a hash can be written");
    assert_eq!(
        serde_json::from_str::<PolicyHash>(&hash).expect("what was written can be read"),
        policy.hash()
    );
    assert_eq!(
        hash, "\"xrywYFp8on592cWpNZSUgw\"",
        "verifications of old name their policies by this hash: a change of how a policy is written orphans them"
    );
}

/// The content of sealed bytes and of the salt must not be printed, in clear or in Base64.
#[test]
fn debug_output_reveals_neither_person_nor_code() {
    let secrets = ["+4915228817386", "493817", "salt-of-the-code", "cart of nine"];
    let plain = |text: &str| Sealed(text.as_bytes().into());
    for code in
        [CodeSource::Custom { code: plain(secrets[1]) }, CodeSource::Derived { salt: plain(secrets[2]) }]
    {
        let request = Request {
            person: plain(&format!("{} {}", secrets[0], secrets[3])),
            code: code.clone(),
            ..Request::clone(&request(&policy()))
        };
        let command = Command::Request(request.clone().into());
        let story =
            Story { policy: policy(), events: Vec::new(), state: State::New, now: 0 }.given(command.clone());
        let printed: [&dyn Debug; 6] =
            [&request, &code, &command, &story.events, &story.state, &plain(secrets[0])];
        for value in printed {
            let printed = format!("{value:?} {value:#?}");
            for secret in secrets {
                let base64 = serde_json::to_string(&plain(secret)).expect("sealed bytes can be written");
                let bytes = format!("{:?}", secret.as_bytes());
                for form in [secret, base64.trim_matches('"'), bytes.trim_matches(['[', ']'])] {
                    assert!(!printed.contains(form), "{form} stands in {printed}");
                }
            }
        }
    }
}

fn kind(fact: &Fact) -> &'static str {
    match fact {
        Fact::Requested { .. } => KINDS[0],
        Fact::MessageQueued { .. } => KINDS[1],
        Fact::SendStarted { .. } => KINDS[2],
        Fact::SendAccepted { .. } => KINDS[3],
        Fact::SendRefused { .. } => KINDS[4],
        Fact::SendInDoubt { .. } => KINDS[5],
        Fact::Reported { .. } => KINDS[6],
        Fact::FellBack { .. } => KINDS[7],
        Fact::StepSkipped { .. } => KINDS[8],
        Fact::GaveUp => KINDS[9],
        Fact::CheckPassed => KINDS[10],
        Fact::CheckFailed => KINDS[11],
        Fact::ChecksExhausted => KINDS[12],
        Fact::ResendRequested { .. } => KINDS[13],
        Fact::ReplyReceived { .. } => KINDS[14],
        Fact::CodeDisowned { .. } => KINDS[15],
        Fact::Expired => KINDS[16],
        Fact::Canceled => KINDS[17],
        Fact::OperatorActed { .. } => KINDS[18],
        Fact::Erased => KINDS[19],
        Fact::Abandoned { .. } => KINDS[20],
    }
}

fn fact() -> impl Strategy<Value = Fact> {
    let reasons = prop::sample::select(vec![
        FallbackReason::Deadline,
        FallbackReason::Failed,
        FallbackReason::Refused,
        FallbackReason::InDoubt,
        FallbackReason::Requested,
    ]);
    let bare = prop::sample::select(vec![
        Fact::GaveUp,
        Fact::CheckPassed,
        Fact::CheckFailed,
        Fact::ChecksExhausted,
        Fact::Expired,
        Fact::Canceled,
        Fact::Abandoned { reason: AbandonReason::KeyLost },
        Fact::Abandoned { reason: AbandonReason::AppRemoved },
        Fact::Erased,
    ]);
    let actions = prop::sample::select(vec![
        OperatorAction::Reveal,
        OperatorAction::Resend,
        OperatorAction::Next,
        OperatorAction::Cancel,
    ]);
    let aims = prop::sample::select(vec![Aim::This, Aim::Perhaps]);
    let aliases = || prop::collection::vec(any::<[u8; 16]>().prop_map(NumberIndex), 0..3);
    let standing = || prop::sample::select(vec![Standing::Applied, Standing::Stale]);
    prop_oneof![
        (a_request(), moment())
            .prop_map(|(request, expires_at)| Fact::Requested { request: request.into(), expires_at }),
        (message(), 0..8_u8, channel(), occasion(), prop::option::of(moment())).prop_map(
            |(message, step, channel, occasion, fallback_at)| Fact::MessageQueued {
                message,
                step,
                channel,
                occasion,
                fallback_at
            }
        ),
        (message(), any::<u16>(), any::<u64>()).prop_map(|(message, attempt, runner)| {
            Fact::SendStarted { message, attempt, runner: Runner(runner) }
        }),
        (message(), any::<u16>(), prop::option::of(provider_ref()), aliases()).prop_map(
            |(message, attempt, provider_ref, aliases)| {
                Fact::SendAccepted { message, attempt, provider_ref, aliases }
            }
        ),
        (message(), any::<u16>(), an_error(), prop::option::of(moment())).prop_map(
            |(message, attempt, error, retry_at)| Fact::SendRefused { message, attempt, error, retry_at }
        ),
        (message(), any::<u16>(), an_error(), prop::option::of(moment())).prop_map(
            |(message, attempt, error, settle_by)| Fact::SendInDoubt { message, attempt, error, settle_by }
        ),
        (
            message(),
            a_status(),
            standing(),
            prop::option::of(moment()),
            prop::option::of(provider_ref()),
            aliases()
        )
            .prop_map(|(message, status, standing, reported_at, provider_ref, aliases)| {
                Fact::Reported { message, status, standing, reported_at, provider_ref, aliases }
            }),
        (message(), 0..8_u8, reasons).prop_map(|(message, to_step, reason)| Fact::FellBack {
            message,
            to_step,
            reason
        }),
        message().prop_map(|message| Fact::StepSkipped { message }),
        prop::option::of(channel()).prop_map(|channel| Fact::ResendRequested { channel }),
        (prop::option::of(message()), ".{0,20}", standing())
            .prop_map(|(message, kind, standing)| Fact::ReplyReceived { message, kind, standing }),
        (prop::option::of(message()), standing(), aims)
            .prop_map(|(message, standing, aim)| Fact::CodeDisowned { message, standing, aim }),
        ("[a-z0-9._-]{1,64}", actions, prop::option::of(sealed())).prop_map(|(by, action, reason)| {
            Fact::OperatorActed {
                by: UserName::parse(&by).expect("these letters are allowed"),
                action,
                reason,
            }
        }),
        bare,
    ]
}

fn sealed() -> impl Strategy<Value = Sealed> {
    prop::collection::vec(any::<u8>(), 0..80).prop_map(|bytes| Sealed(bytes.into()))
}

fn a_request() -> impl Strategy<Value = Request> {
    let code = prop_oneof![
        sealed().prop_map(|salt| CodeSource::Derived { salt }),
        sealed().prop_map(|code| CodeSource::Custom { code }),
    ];
    let text = || prop::option::of(".{0,40}");
    let hashes = any::<([[u8; 16]; 2], Option<u16>)>();
    (moment(), any::<(u16, u64)>(), hashes, sealed(), text(), text(), text(), code).prop_map(
        |(at, (bucket, random), ([policy, number], tail), person, country, locale, client_ref, code)| {
            Request {
                id: VerificationId::new(at, Bucket::new(bucket), random),
                app: twotick::verification::values::AppName::new("shop"),
                policy: PolicyHash(policy),
                number: NumberIndex(number),
                tail: tail.map(NumberTail),
                person,
                country,
                locale,
                client_ref,
                code,
            }
        },
    )
}

fn moment() -> impl Strategy<Value = Timestamp> {
    (0..=Timestamp::MAX.as_millis()).prop_map(Timestamp::from_millis)
}

fn message() -> impl Strategy<Value = Ordinal> {
    (1..=63_usize).prop_map(ordinal)
}

fn channel() -> impl Strategy<Value = ChannelName> {
    "[a-z0-9_-]{1,32}".prop_map(|name| ChannelName::new(&name))
}

fn occasion() -> impl Strategy<Value = Occasion> {
    prop::sample::select(vec![Occasion::Step, Occasion::Resend, Occasion::Doubt])
}

fn provider_ref() -> impl Strategy<Value = ProviderRef> {
    "[!-~]{1,512}".prop_map(|text| ProviderRef::parse(&text).expect("1 to 512 visible letters"))
}

fn an_error() -> impl Strategy<Value = DeliveryError> {
    let classes = prop::sample::select(vec![
        ErrorClass::Retry,
        ErrorClass::Fallback,
        ErrorClass::Sender,
        ErrorClass::Recipient,
        ErrorClass::Configuration,
        ErrorClass::InDoubt,
    ]);
    (".{0,20}", ".{0,200}", classes).prop_map(|(code, title, class)| DeliveryError { code, title, class })
}

fn a_status() -> impl Strategy<Value = ReportStatus> {
    prop_oneof![
        Just(ReportStatus::Sent),
        Just(ReportStatus::Delivered),
        Just(ReportStatus::Read),
        an_error().prop_map(ReportStatus::Failed),
        ".{1,64}".prop_map(ReportStatus::Unknown),
    ]
}
