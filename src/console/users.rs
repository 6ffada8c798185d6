//! The permissions of the console's roles.

use crate::access::Role;

/// An action on the console beyond reading pages with masked numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Find a verification by its full number or the last four digits.
    SearchByNumber,
    /// See a full number, with a reason.
    Reveal,
    Resend,
    Next,
    Cancel,
    /// Download the list as CSV.
    ExportList,
    /// Read inbound messages.
    ReadConversations,
    /// See operator alerts.
    ReadAlerts,
    /// See and download the audit log.
    ReadAudit,
}

impl Action {
    pub const ALL: [Self; 9] = [
        Self::SearchByNumber,
        Self::Reveal,
        Self::Resend,
        Self::Next,
        Self::Cancel,
        Self::ExportList,
        Self::ReadConversations,
        Self::ReadAlerts,
        Self::ReadAudit,
    ];
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Support, Self::Operator];

    /// The role table, the only place that defines permissions.
    pub fn may(self, action: Action) -> bool {
        let least = match action {
            Action::SearchByNumber
            | Action::Reveal
            | Action::Resend
            | Action::Next
            | Action::Cancel
            | Action::ExportList
            | Action::ReadConversations => Self::Support,
            Action::ReadAlerts | Action::ReadAudit => Self::Operator,
        };
        self.rank() >= least.rank()
    }

    fn rank(self) -> u8 {
        match self {
            Self::Viewer => 0,
            Self::Support => 1,
            Self::Operator => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_of_the_roles() {
        for action in Action::ALL {
            assert!(!Role::Viewer.may(action), "{action:?}");
            let operators = matches!(action, Action::ReadAlerts | Action::ReadAudit);
            assert_eq!(Role::Support.may(action), !operators, "{action:?}");
            assert!(Role::Operator.may(action), "{action:?}");
        }
    }
}
