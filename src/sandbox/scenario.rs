//! The scenarios by the last two digits of a number, as data.

use serde::Serialize;

/// A scenario.
#[derive(Debug)]
pub struct Scenario {
    /// Its example number, `+1 202 555 01xx`; all numbers with these last two digits play it.
    pub number: &'static str,
    /// What happens, in words.
    pub plays: &'static str,
    /// How a verification with a WhatsApp and an SMS step ends.
    pub ends: &'static str,
    pub answer: SendAnswer,
    /// WhatsApp's reports after it has accepted the message.
    pub whatsapp: &'static [ScenarioStep],
    pub sms: Sms,
}

/// The Graph API's answer to a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendAnswer {
    Accepted,
    /// Accepted, but the connection breaks in the middle of the answer.
    AcceptedUnheard,
    /// HTTP 400 with error 131026.
    Undeliverable,
    /// HTTP 500 with error 131016 for the first [`OUTAGES`] sends to a number, then accepted.
    UnavailableAtFirst,
}

/// Failures of [`SendAnswer::UnavailableAtFirst`] before it accepts.
pub const OUTAGES: u8 = 2;

/// What a provider reports of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Sent,
    Delivered,
    Read,
    Failed,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
        }
    }
}

/// A report of WhatsApp, one pace after the previous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScenarioStep {
    Sent,
    Delivered,
    /// Delivered after an SMS to the number, or after the options' `late_after`.
    DeliveredLate,
    Read,
    /// Failed with error 131026.
    Failed,
    /// The person presses "I didn't request a code".
    Disowned,
}

impl ScenarioStep {
    /// `None` for what a person does.
    pub fn status(self) -> Option<Status> {
        match self {
            Self::Sent => Some(Status::Sent),
            Self::Delivered | Self::DeliveredLate => Some(Status::Delivered),
            Self::Read => Some(Status::Read),
            Self::Failed => Some(Status::Failed),
            Self::Disowned => None,
        }
    }
}

/// The carrier's report after `sent`. It accepts every SMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sms {
    Delivered,
    Failed,
}

/// The scenario of a number, given its digits. Other endings play the first scenario.
pub fn of(digits: &str) -> &'static Scenario {
    let ending = digits.len().checked_sub(2).and_then(|start| digits.get(start..)).unwrap_or_default();
    SCENARIOS.iter().find(|scenario| scenario.number.ends_with(ending)).unwrap_or(&SCENARIOS[0])
}

use ScenarioStep::{Delivered, DeliveredLate, Disowned, Failed, Read, Sent};
use SendAnswer::{Accepted, AcceptedUnheard, UnavailableAtFirst, Undeliverable};

pub static SCENARIOS: [Scenario; 12] = [
    Scenario {
        number: "+12025550100",
        plays: "delivered, then read",
        ends: "delivered by WhatsApp",
        answer: Accepted,
        whatsapp: &[Sent, Delivered, Read],
        sms: Sms::Delivered,
    },
    Scenario {
        number: "+12025550101",
        plays: "sent, never delivered",
        ends: "SMS at the deadline, delivered by SMS",
        answer: Accepted,
        whatsapp: &[Sent],
        sms: Sms::Delivered,
    },
    Scenario {
        number: "+12025550102",
        plays: "accepted, then failed 131026",
        ends: "SMS at once",
        answer: Accepted,
        whatsapp: &[Failed],
        sms: Sms::Delivered,
    },
    Scenario {
        number: "+12025550103",
        plays: "refused at once with 131026",
        ends: "SMS at once",
        answer: Undeliverable,
        whatsapp: &[],
        sms: Sms::Delivered,
    },
    Scenario {
        number: "+12025550104",
        plays: "statuses doubled and in the wrong order",
        ends: "delivered by WhatsApp, no SMS",
        answer: Accepted,
        whatsapp: &[Delivered, Sent, Delivered, Sent, Read],
        sms: Sms::Delivered,
    },
    Scenario {
        number: "+12025550105",
        plays: "read without delivered",
        ends: "delivered by WhatsApp, no SMS",
        answer: Accepted,
        whatsapp: &[Read],
        sms: Sms::Delivered,
    },
    Scenario {
        number: "+12025550106",
        plays: "delivered after the deadline",
        ends: "SMS sent, WhatsApp late",
        answer: Accepted,
        whatsapp: &[Sent, DeliveredLate],
        sms: Sms::Delivered,
    },
    Scenario {
        number: "+12025550107",
        plays: "two 500s, then accepted and delivered",
        ends: "delivered by WhatsApp, no SMS",
        answer: UnavailableAtFirst,
        whatsapp: &[Sent, Delivered],
        sms: Sms::Delivered,
    },
    Scenario {
        number: "+12025550108",
        plays: "accepted, but the answer never arrives",
        ends: "delivered by WhatsApp, one send, no SMS",
        answer: AcceptedUnheard,
        whatsapp: &[Sent, Delivered],
        sms: Sms::Delivered,
    },
    Scenario {
        number: "+12025550109",
        plays: "nothing works, SMS fails too",
        ends: "undelivered",
        answer: Accepted,
        whatsapp: &[Failed],
        sms: Sms::Failed,
    },
    Scenario {
        number: "+12025550110",
        plays: "delivered, then \u{201c}I didn\u{2019}t request a code\u{201d}",
        ends: "code disowned, canceled",
        answer: Accepted,
        whatsapp: &[Sent, Delivered, Disowned],
        sms: Sms::Delivered,
    },
    Scenario {
        number: "+12025550111",
        plays: "delivered; two wrong codes typed, then the right one",
        ends: "approved",
        answer: Accepted,
        whatsapp: &[Sent, Delivered, Read],
        sms: Sms::Delivered,
    },
];
