//! Channels through Sinch: the Conversation API and the SMS API. Both sign their webhooks in the same way (`proof`).

pub mod conversation;
mod proof;
pub mod sms;
