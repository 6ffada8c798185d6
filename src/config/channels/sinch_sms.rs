//! Kind `sinch-sms`: SMS through Sinch's SMS API.

use super::Details;
use crate::channel::sinch::sms::{Region, Settings};
use crate::channel::{self, Carries};
use crate::config::reader::Section;
use crate::config::sections::secrets;
use crate::config::values::SecretRule;

const REGIONS: [(&str, Region); 5] =
    [("eu", Region::Eu), ("us", Region::Us), ("br", Region::Br), ("ca", Region::Ca), ("au", Region::Au)];

pub(super) fn read(section: &mut Section<'_>) -> Details {
    let service_plan_id = section.required("service_plan_id").provider_id();
    let api_token = section.required("api_token").secret(SecretRule::PROVIDER_TOKEN);
    let from = section.required("from").line(32);
    let region = section.required("region").choice(&REGIONS);
    let webhook_secrets = secrets(&section.required("webhook_secrets"), SecretRule::SIGNING, |_, _| {});
    let base_url = section.optional("base_url").base_or(region.map(Region::address));
    let settings = || {
        Some(channel::Settings::SinchSms(Settings {
            base_url: base_url?,
            region: region?,
            service_plan_id: service_plan_id?,
            api_token: api_token?,
            from: from?,
            webhook_secrets: webhook_secrets?,
        }))
    };
    Details { carries: Some(Carries::Text), settings: settings() }
}
