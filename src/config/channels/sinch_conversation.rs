//! Kind `sinch-conversation`: WhatsApp, SMS and RCS through Sinch's Conversation API.

use super::Details;
use crate::channel::sinch::conversation::{AUTH_ADDRESS, Region, Settings, Via};
use crate::channel::{self, Carries};
use crate::config::reader::Section;
use crate::config::sections::secrets;
use crate::config::values::SecretRule;

const REGIONS: [(&str, Region); 3] = [("eu", Region::Eu), ("us", Region::Us), ("br", Region::Br)];
const VIAS: [(&str, Via); 3] = [("whatsapp", Via::Whatsapp), ("sms", Via::Sms), ("rcs", Via::Rcs)];

pub(super) fn read(section: &mut Section<'_>) -> Details {
    let project_id = section.required("project_id").provider_id();
    let app_id = section.required("app_id").provider_id();
    let key_id = section.required("key_id").provider_id();
    let key_secret = section.required("key_secret").secret(SecretRule::PROVIDER_TOKEN);
    let region = section.required("region").choice(&REGIONS);
    let via = section.required("via").choice(&VIAS);
    let sender_slot = section.optional("sender");
    let has_sender = sender_slot.is_set();
    let sender = sender_slot.line(32);
    if has_sender && matches!(via, Some(Via::Whatsapp | Via::Rcs)) {
        sender_slot.warning("only used for SMS: on other channels the app determines the sender");
    }
    let webhook_secrets = secrets(&section.required("webhook_secrets"), SecretRule::SIGNING, |_, _| {});
    let base_url = section.optional("base_url").base_or(region.map(Region::address));
    let auth_url = section.optional("auth_url").base_or(Some(AUTH_ADDRESS));
    let settings = || {
        Some(channel::Settings::SinchConversation(Settings {
            base_url: base_url?,
            auth_url: auth_url?,
            region: region?,
            project_id: project_id?,
            app_id: app_id?,
            key_id: key_id?,
            key_secret: key_secret?,
            via: via?,
            sender: if has_sender { Some(sender?) } else { None },
            webhook_secrets: webhook_secrets?,
        }))
    };
    let carries = via.map(|via| match via {
        Via::Whatsapp => Carries::Template,
        Via::Sms | Via::Rcs => Carries::Text,
    });
    Details { carries, settings: settings() }
}
