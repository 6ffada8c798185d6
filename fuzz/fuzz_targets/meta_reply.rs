//! Any bytes as Meta's response to a send and to a request for templates.
#![no_main]

use libfuzzer_sys::fuzz_target;
use twotick::channel::exchange::Answer;
use twotick::channel::meta::Meta;
use twotick_fuzz::{Reply, check_outcome, submission};

fuzz_target!(|data: &[u8]| {
    let Some(Reply { status, received }) = Reply::read(data) else { return };
    let body = received.body.clone();
    let sent = Meta::sent_of(Answer::Received(received), &submission());
    check_outcome(&sent.outcome, status, body.is_some());
    assert!(sent.aliases.len() <= 2);

    let templates = Meta::templates_of(&body.unwrap_or_default(), "login_code").unwrap_or_default();
    for template in templates {
        for word in [&template.language, &template.status] {
            assert!(word.chars().count() <= 200 && !word.chars().any(char::is_control), "{word:?}");
        }
        assert_eq!(template.status, template.status.to_ascii_uppercase());
    }
});
