//! Values: their bounds, their formats, and the bits of ids.

use std::collections::HashSet;
use std::time::Duration;

use twotick::verification::values::{
    AppName, Bucket, ChannelName, DeliveryError, ErrorClass, MessageId, NumberIndex, Ordinal, ProviderRef,
    ReportStatus, Sealed, Timestamp, UserName, VerificationId,
};

#[test]
fn the_layout_of_ids_is_stable() {
    let at = Timestamp::from_millis(1_795_000_000_123);
    let id = VerificationId::new(at, Bucket::new(0xabc), 0x00aa_aaaa_aaaa_aaa5);
    assert_eq!(id.to_string(), "ver_01m7q5cqkvfayanananananaa0");
    assert_eq!(u128::from_be_bytes(id.to_bytes()), 0x01a1_ee56_5e7b_7abc_aaaa_aaaa_aaaa_a940);
    let message = id.message(Ordinal::LAST);
    assert_eq!(VerificationId::from_bytes(message.to_bytes()), id);
    assert_eq!(MessageId::from_bytes(message.to_bytes()), Some(message));
    assert_eq!(MessageId::from_bytes(id.to_bytes()), None);
    let event = id.event(Timestamp::from_millis(1_795_000_000_456), 7);
    assert_eq!(event.to_string(), "evt_01m7q5cqy8faybjbqyq38t7kek");
    let last = VerificationId::new(Timestamp::MAX, Bucket::new(0xfff), u64::MAX);
    assert_eq!(last.to_string().parse(), Ok(last), "the first letter of the last id is a 7");
    assert!(last <= VerificationId::LAST);
    let beyond = id.to_string().replace("ver_0", "ver_8");
    assert!(beyond.parse::<VerificationId>().is_err(), "{beyond} is the same number, cut to 128 bits");
}

#[test]
fn an_index_has_its_bucket_and_prints_as_crockford() {
    let index = NumberIndex([0xab, 0xcd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(index.bucket(), Bucket::new(0xabc));
    assert_eq!(format!("{:?}", NumberIndex([0xff; 16])), format!("NumberIndex(7{})", "z".repeat(25)));
}

#[test]
fn ordinals_convert_between_both_bases() {
    for count in 1..=63 {
        let ordinal = Ordinal::nth(count).unwrap();
        assert_eq!((usize::from(ordinal.get()), ordinal.index()), (count, count - 1));
        assert_eq!(usize::from(u8::from(ordinal)), count);
    }
    assert_eq!((Ordinal::nth(0), Ordinal::nth(64)), (None, None));
}

#[test]
fn a_reference_is_visible_ascii_of_at_most_512_bytes() {
    for lawful in ["!", "~", "wamid.x", &"x".repeat(512)] {
        assert_eq!(ProviderRef::parse(lawful).unwrap().as_str(), lawful);
    }
    for wrong in ["", " ", "a b", "a\n", "é", &"x".repeat(513)] {
        assert!(ProviderRef::parse(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_hidden_reference_is_recognized_by_its_tag() {
    let sealed = Sealed([9; 105].into());
    let whole = ProviderRef::hidden([7; 16], Some(&sealed));
    let bare = ProviderRef::hidden([7; 16], None);
    let other = ProviderRef::hidden([8; 16], Some(&sealed));
    let plain = ProviderRef::parse("wamid.1").unwrap();
    assert_eq!((whole.name(), whole.sealed()), (bare.as_str(), Some(sealed)));
    assert_eq!((bare.sealed(), plain.sealed(), plain.name()), (None, None, "wamid.1"));
    assert!(whole.is_hidden() && bare.is_hidden() && !plain.is_hidden());
    assert!(whole == bare && whole != other && whole != plain);
    assert_eq!(HashSet::from([whole.clone(), bare, other.clone(), plain.clone()]).len(), 3);
    assert!(whole < other && plain < whole, "{whole:?} {other:?} {plain:?}");
    assert_eq!(plain.partial_cmp(&whole), Some(std::cmp::Ordering::Less));
    // 366 bytes are 488 letters, which with the 24 of the tag are the maximum.
    let size =
        |bytes: usize| ProviderRef::hidden([7; 16], Some(&Sealed(vec![9; bytes].into()))).as_str().len();
    assert_eq!((size(366), size(367)), (512, 23));
}

#[test]
fn names_and_words_are_displayed_verbatim() {
    let (channel, app) = (ChannelName::new("sms"), AppName::new("shop"));
    assert_eq!((channel.as_str(), channel.to_string()), ("sms", "sms".to_owned()));
    assert_eq!((app.as_str(), app.to_string()), ("shop", "shop".to_owned()));
    let user = UserName::parse("anna").unwrap();
    assert_eq!((user.to_string(), serde_json::json!(user)), ("anna".to_owned(), "anna".into()));
    assert_eq!(format!("{:?}", Sealed([1, 2, 3].into())), "Sealed(3 bytes)");
    let error = DeliveryError { code: "1".to_owned(), title: String::new(), class: ErrorClass::Fallback };
    for status in [ReportStatus::Sent, ReportStatus::Delivered, ReportStatus::Read] {
        assert_eq!(serde_json::json!(status), status.name());
    }
    assert_eq!(ReportStatus::Failed(error).name(), "failed");
}

#[test]
fn a_hidden_reference_is_stored_compactly_or_verbatim() {
    let written = |reference: &ProviderRef| minicbor::to_vec(reference).unwrap();
    let read = |bytes: &[u8]| minicbor::decode::<ProviderRef>(bytes);
    let whole = ProviderRef::hidden([7; 16], Some(&Sealed([9; 105].into())));
    let bare = ProviderRef::hidden([7; 16], None);
    assert_eq!((written(&whole).len(), written(&bare).len()), (2 + 16 + 105, 1 + 16));
    // Formats of other origins or earlier versions.
    let foreign = ["wamid.1", "~", "~short", "~BwcHBwcHBwcHBwcHBwcHBw~", "~BwcHBwcHBwcHBwcHBwcHBx"];
    for text in foreign.into_iter().chain([whole.as_str(), bare.as_str()]) {
        let reference = ProviderRef::parse(text).unwrap();
        assert_eq!(read(&written(&reference)).unwrap().as_str(), text);
        assert_eq!(read(&minicbor::to_vec(text).unwrap()).unwrap().as_str(), text);
    }
    assert!(read(&[0x43, 1, 2, 3]).is_err() && read(&[0x01]).is_err());
}

#[test]
fn an_id_carries_time_bucket_and_ordinal() {
    let at = Timestamp::from_millis(1_795_000_000_123);
    let id = VerificationId::new(at, Bucket::new(0xabc), 0x00ff_ffff_ffff_ffff);
    assert_eq!((id.created_at(), id.bucket()), (at, Bucket::new(0xabc)));
    let uuid = uuid::Uuid::from_bytes(id.to_bytes());
    assert_eq!((uuid.get_version_num(), uuid.get_variant()), (7, uuid::Variant::RFC4122));
    let message = id.message(Ordinal::nth(63).unwrap());
    assert_eq!((message.verification(), message.ordinal()), (id, Ordinal::LAST));
    assert_eq!(message.to_string().parse::<MessageId>(), Ok(message));
    assert_eq!(id.to_string().parse::<VerificationId>(), Ok(id));
    assert_eq!(id.to_string().len(), 30);
}

#[test]
fn different_random_bits_give_different_ids() {
    let at = Timestamp::from_millis(1_795_000_000_123);
    let ids: HashSet<_> = (0..56).map(|bit| VerificationId::new(at, Bucket::new(1), 1 << bit)).collect();
    assert_eq!(ids.len(), 56);
}

#[test]
fn the_first_id_of_a_moment_separates_earlier_from_later_ids() {
    let at = |millis: i64| Timestamp::from_millis(1_795_000_000_000 + millis);
    let bound = VerificationId::first_at(at(5));
    assert!(VerificationId::new(at(4), Bucket::new(0xfff), u64::MAX) < bound);
    assert!(bound < VerificationId::new(at(5), Bucket::new(0), 0));
}

#[test]
fn records_with_invalid_ordinals_are_refused() {
    assert_eq!(serde_json::from_str::<Ordinal>("63").unwrap(), Ordinal::LAST);
    for wrong in ["0", "64", "255", "-1", "256", "null"] {
        assert!(serde_json::from_str::<Ordinal>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_users_name_is_plain() {
    for lawful in ["a", "anna.schmidt_2-b", &"x".repeat(64)] {
        assert_eq!(UserName::parse(lawful).unwrap().as_str(), lawful);
    }
    for wrong in ["", "Anna", "a b", "a\n", "ä", "<b>", &"x".repeat(65)] {
        assert!(UserName::parse(wrong).is_err(), "{wrong:?}");
        assert!(serde_json::from_value::<UserName>(wrong.into()).is_err(), "{wrong:?}");
    }
}

#[test]
fn an_id_has_one_form() {
    let id = VerificationId::new(Timestamp::from_millis(1), Bucket::new(1), 1);
    let text = id.to_string();
    for wrong in [
        text.to_uppercase(),
        text.replace("ver_", "msg_"),
        text[..29].to_owned(),
        format!("{text}0"),
        String::new(),
        "ver_zzzzzzzzzzzzzzzzzzzzzzzzzz".to_owned(),
        id.message(Ordinal::FIRST).to_string().replace("msg_", "ver_"),
        "ver_é0000000000000000000000000".to_owned(),
    ] {
        assert!(wrong.parse::<VerificationId>().is_err(), "{wrong} was taken for an id");
    }
}

#[test]
fn events_of_one_verification_have_different_ids() {
    let id = VerificationId::new(Timestamp::from_millis(1), Bucket::new(1), 1);
    let ids: HashSet<_> = (1..2000).map(|seq| id.event(Timestamp::from_millis(5), seq)).collect();
    assert_eq!(ids.len(), 1999);
}

#[test]
fn times_are_clamped_to_rfc_3339() {
    assert_eq!(Timestamp::from_millis(i64::MAX), Timestamp::MAX);
    assert_eq!(Timestamp::MAX + Duration::MAX, Timestamp::MAX);
    for (record, at) in [("179500060000600005", Timestamp::MAX), ("-1", Timestamp::from_millis(0))] {
        assert_eq!(serde_json::from_str::<Timestamp>(record).unwrap(), at);
    }
    assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
    assert_eq!(Timestamp::from_millis(-5).to_string(), "1970-01-01T00:00:00.000Z");
    assert_eq!(
        "2026-11-22T17:00:00.250Z".parse::<Timestamp>().unwrap().to_string(),
        "2026-11-22T17:00:00.250Z"
    );
    assert_eq!(Timestamp::from_millis(1).since(Timestamp::from_millis(9)), Duration::ZERO);
    assert_eq!(Timestamp::from_millis(9).since(Timestamp::from_millis(1)), Duration::from_millis(8));
    assert_eq!(i64::from(Timestamp::from_millis(5)), 5);
}
