//! Reports of carriers with other fields and status words.

use super::*;
use crate::channel::status;

fn reading(fields: Fields, format: Format) -> ReportFormat {
    let mut words = StatusWords::default();
    words.add("8", ReportStatus::Sent).unwrap();
    words.add("Handed-Over", ReportStatus::Delivered).unwrap();
    words.add("expired", ReportStatus::Sent).unwrap();
    assert!(words.add("handed over", status::FAILED).is_err(), "one word has one meaning");
    ReportFormat { format, fields, words }
}

fn flat(names: [&str; 5]) -> Fields {
    let [id, reference, status, error_code, at] = names.map(FieldPath::named);
    Fields { id: Some(id), reference: Some(reference), status, error_code: Some(error_code), at: Some(at) }
}

#[test]
fn form_and_query_fields_are_found_by_name_and_custom_words_take_precedence() {
    let reading = reading(flat(["msgid", "ref", "stat", "err", "when"]), Format::Form);
    for (form, name, id, at) in [
        ("msgid=9&stat=DELIVRD", "delivered", Some("9"), None),
        ("msgid=9&stat=8", "sent", Some("9"), None),
        ("stat=HANDED_OVER&msgid=a%2Fb&when=1795363200", "delivered", Some("a/b"), Some(1_795_363_200_000)),
        ("msgid=9&stat=EXPIRED&when=2026-11-22T17:00:00Z", "sent", Some("9"), Some(1_795_366_800_000)),
        ("msgid=9&stat=UNDELIV&err=27", "failed", Some("9"), None),
        ("msgid=9&stat=17", "unknown", Some("9"), None),
        ("msgid=+9+&stat=+Delivered+&stat=failed", "delivered", Some("9"), None),
        ("&&msgid&ref=msg_01m81zrq00fay80j6hb7h45br1&stat=read&=&%&%zz=1", "read", None, None),
    ] {
        let mut delivery = reading.read(form.as_bytes(), None);
        assert_eq!(delivery.readable, Readable::Yes, "{form}");
        let report = delivery.reports.pop().unwrap();
        assert_eq!(report.status.name(), name, "{form}");
        assert_eq!(report.provider_ref.as_ref().map(ProviderRef::as_str), id, "{form}");
        assert_eq!(report.reported_at.map(|at| at.as_millis()), at, "{form}");
        if let ReportStatus::Failed(error) = report.status {
            assert_eq!(error.code, "27");
            assert_eq!(error.title, "the carrier reported UNDELIV and gave no reason");
        }
    }
    for form in ["", "stat=DELIVRD", "msgid=9", "{\"msgid\":9,\"stat\":\"DELIVRD\"}", "\u{fffd}"] {
        assert!(matches!(reading.read(form.as_bytes(), None).readable, Readable::No(_)), "{form}");
    }
    let latin_1 = reading.read(b"msgid=9&stat=Best%E4tigt", None);
    assert_eq!(latin_1.reports[0].status, ReportStatus::Unknown("Bestätigt".to_owned()));
}

#[test]
fn the_url_identifies_the_message_if_the_report_does_not() {
    let ours: crate::verification::values::MessageId = REFERENCE.parse().unwrap();
    let other = "msg_01m81zrq00fay80j6hb7h45br2";
    let reading = ReportFormat::default();
    for (body, reference) in [
        (json!({ "status": "sent" }), Some(REFERENCE)),
        (json!({ "id": "a-1", "status": "sent", "reference": "order-17" }), Some(REFERENCE)),
        (json!({ "status": "sent", "reference": other }), Some(other)),
    ] {
        let delivery = reading.read(body.to_string().as_bytes(), Some(ours));
        let found = delivery.reports[0].reference.map(|id| id.to_string());
        assert_eq!(found.as_deref(), reference, "{body}");
    }
    let two = json!([{ "status": "sent", "id": "1" }, { "status": "sent" }]);
    let delivery = reading.read(two.to_string().as_bytes(), Some(ours));
    assert_eq!((delivery.reports.len(), delivery.unknown.get(&Unknown::Item)), (1, Some(&1)));
    assert_eq!(delivery.reports[0].reference, None, "an address of one message says nothing about a list");
}

#[test]
fn every_item_of_a_list_is_parsed_independently() {
    let nested = Fields {
        id: Some(FieldPath::at("/results/0/messageId")),
        reference: Some(FieldPath::at("/results/0/callbackData")),
        status: FieldPath::at("/results/0/status/name"),
        error_code: Some(FieldPath::at("/results/0/error/id")),
        at: Some(FieldPath::at("/sentAt")),
    };
    let body = json!({ "sentAt": 1_795_363_200, "results": [
        { "messageId": "a", "status": { "name": "DELIVERED" } },
        7,
        { "messageId": "b", "status": { "name": "UNDELIV" }, "text": "483920 is your code",
          "error": { "id": 27, "description": "Absent subscriber" } },
        { "callbackData": REFERENCE, "status": { "name": "fizzed" } },
    ]});
    let delivery = reading(nested, Format::Json).read(body.to_string().as_bytes(), None);
    let names: Vec<_> = delivery.reports.iter().map(|report| report.status.name()).collect();
    assert_eq!(names, ["delivered", "failed", "unknown"]);
    assert!(delivery.reports.iter().all(|report| report.reported_at.is_some()));
    assert_eq!(delivery.unknown.get(&Unknown::Item), Some(&1));
    let ReportStatus::Failed(error) = &delivery.reports[1].status else { panic!("it failed") };
    assert_eq!((error.code.as_str(), error.title.as_str()), ("27", "Absent subscriber"));

    let top =
        Fields { status: FieldPath::at("/0/status"), id: Some(FieldPath::at("/0/id")), ..Fields::default() };
    for fields in [top, Fields::default()] {
        let body = json!([{ "id": "a", "status": "sent" }, { "id": "b", "status": "read" }]);
        let delivery = reading(fields, Format::Json).read(body.to_string().as_bytes(), None);
        let ids: Vec<_> = delivery.reports.iter().filter_map(|one| one.provider_ref.as_ref()).collect();
        assert_eq!(ids.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }
}
