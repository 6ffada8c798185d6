//! How long data are kept.

use std::time::Duration;

/// Each 1 to 3650 days. The keys that codes are derived from are destroyed with the code and need no setting.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Numbers, texts and other personal data; from the end of the day (UTC) on which they came.
    pub personal: Duration,
    /// The events of a verification, without personal data; at least as long as `personal`.
    pub timelines: Duration,
    /// The audit log: acts of the staff.
    pub audit: Duration,
}
