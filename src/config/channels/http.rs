//! Kind `http`: any carrier with an HTTP interface.

use super::Details;
use crate::channel::{Carries, Settings, http_sms};
use crate::config::reader::Section;
use crate::config::values::{Address, SecretRule};

pub(super) fn read(section: &mut Section<'_>) -> Details {
    let url = section.required("url").url(Address::Endpoint);
    let from = section.required("from").line(32);
    let bearer = section.required("bearer").secret(SecretRule::PROVIDER_TOKEN);
    let pointer = section.defaulted("id_pointer");
    let id_pointer = pointer.text("a JSON pointer, such as \"/id\" or \"/messages/0/id\"", |text| {
        is_json_pointer(text).then(|| text.to_owned())
    });
    let report_secret = section.required("report_secret").secret(SecretRule::SIGNING);
    let settings = || {
        Some(Settings::Http(http_sms::Settings {
            url: url?,
            from: from?,
            bearer: bearer?,
            id_pointer: id_pointer?,
            report_secret: report_secret?,
        }))
    };
    Details { carries: Some(Carries::Text), settings: settings() }
}

/// RFC 6901: empty, or parts that each begin with `/`, in which `~` is followed by 0 or 1.
fn is_json_pointer(text: &str) -> bool {
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    (text.is_empty() || text.starts_with('/')) && escapes && text.len() <= 256
}
