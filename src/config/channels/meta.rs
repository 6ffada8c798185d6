//! Kind `meta`: WhatsApp through Meta's Cloud API.

use super::Details;
use crate::channel::{Carries, Settings, meta};
use crate::config::reader::{Section, Slot};
use crate::config::sections::secrets;
use crate::config::values::{Address, SecretRule};

pub(super) fn read(section: &mut Section<'_>) -> Details {
    let graph_url = section.defaulted("graph_url").url(Address::Base);
    let version = section.defaulted("graph_version");
    let graph_version = version.text("Meta's version of the Graph API, such as \"v25.0\"", |text| {
        is_graph_version(text).then(|| text.to_owned())
    });
    let phone_number_id = section.required("phone_number_id").meta_id();
    let business_account_id = section.required("business_account_id").meta_id();
    let access_token = section.required("access_token").secret(SecretRule::PROVIDER_TOKEN);
    let app_secrets = secrets(&section.required("app_secrets"), SecretRule::SIGNING, |_, _| {});
    let verify_token = section.required("verify_token").secret(SecretRule::VERIFY_TOKEN);
    let settings = || {
        Some(Settings::Meta(meta::Settings {
            graph_url: graph_url?,
            graph_version: graph_version?,
            phone_number_id: phone_number_id?,
            business_account_id: business_account_id?,
            access_token: access_token?,
            app_secrets: app_secrets?,
            verify_token: verify_token?,
        }))
    };
    Details { carries: Some(Carries::Template), settings: settings() }
}

fn is_graph_version(text: &str) -> bool {
    let number = |digits: &str| (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let parts = text.strip_prefix('v').and_then(|numbers| numbers.split_once('.'));
    parts.is_some_and(|(major, minor)| number(major) && number(minor))
}

impl Slot<'_> {
    /// An id of digits only, because it becomes part of a URL.
    fn meta_id(&self) -> Option<String> {
        self.text("the id that Meta shows, 1 to 32 digits", |text| {
            let fits = (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            fits.then(|| text.to_owned())
        })
    }
}
