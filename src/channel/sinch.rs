//! Channels via Sinch: the Conversation API and the SMS API. Both sign webhooks alike (`proof`).

pub mod conversation;
mod proof;
pub mod sms;
