//! Counts data whose key is missing. A key that retention destroyed is gone on purpose; a key missing earlier was lost,
//! and with it every number and text that it encrypted.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::store::{Filter, Store, StoreError};
use crate::vault::{Vault, Whereabouts};
use crate::verification::values::{Sealed, Timestamp, VerificationId};

/// Gauge of a running server.
pub const METRIC: &str = "twotick_verifications_without_key";
/// Every day (UTC) has its own key.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Verifications read per call.
const PAGE: usize = 200;

/// The keys that should exist.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    pub vault: &'a Vault,
    pub now: Timestamp,
    /// Retention of personal data, from the end of its day.
    pub personal: Duration,
}

impl Expected<'_> {
    /// Start of the oldest day whose key is within retention.
    fn oldest_day(&self) -> Timestamp {
        let day = DAY.as_secs() as i64 * 1_000;
        let kept_from = (self.now - self.personal).as_millis();
        Timestamp::from_millis(kept_from - kept_from % day)
    }

    /// Whether the verification's person is within retention and its key is missing.
    pub fn is_lost(&self, id: VerificationId, person: &Sealed) -> bool {
        let whereabouts = self.vault.whereabouts(person, id.created_at());
        let is_missing = matches!(whereabouts, Whereabouts::Lost | Whereabouts::LossAccepted);
        is_missing && id.created_at() >= self.oldest_day()
    }
}

/// Counts the verifications of a file whose keys are missing; counts each once, even if it is passed repeatedly.
pub struct Count<'a> {
    expected: Expected<'a>,
    lost: BTreeSet<VerificationId>,
}

impl<'a> Count<'a> {
    pub fn new(expected: Expected<'a>) -> Self {
        Self { expected, lost: BTreeSet::new() }
    }

    pub fn look_at(&mut self, id: VerificationId, person: &Sealed) {
        if self.expected.is_lost(id, person) {
            self.lost.insert(id);
        }
    }

    pub fn lost(&self) -> u64 {
        self.lost.len() as u64
    }
}

/// Counts verifications in the store whose person is unreadable because of a lost key. Reads one verification per day,
/// and all of a day if its newest is affected.
pub async fn in_store(store: &dyn Store, expected: Expected<'_>) -> Result<u64, StoreError> {
    let (mut lost, mut day) = (0, expected.oldest_day());
    while day <= expected.now {
        let next = day + DAY;
        let filter = Filter { since: Some(day), until: Some(next), ..Filter::default() };
        let (mut before, mut limit) = (None, 1);
        loop {
            let page = store.list(filter.clone(), limit, before).await?;
            let here = page.items.iter().map(|snapshot| &snapshot.verification);
            let here: Vec<_> = here.filter(|verification| !verification.erased).collect();
            let lost_here =
                here.iter().filter(|one| expected.is_lost(one.id(), &one.request.person)).count() as u64;
            lost += lost_here;
            let is_newest_whole = limit == 1 && !here.is_empty() && lost_here == 0;
            before = page.next;
            if before.is_none() || is_newest_whole {
                break;
            }
            // An erased person says nothing about the day's key: read the next.
            limit = if lost > 0 || !here.is_empty() { PAGE } else { 1 };
        }
        day = next;
    }
    Ok(lost)
}

/// Counts once after the start, and reports to log and metrics.
pub async fn report(
    store: std::sync::Arc<dyn Store>,
    vault: std::sync::Arc<Vault>,
    now: Timestamp,
    personal: Duration,
) {
    metrics::describe_gauge!(
        METRIC,
        "Verifications whose number was sealed by a key that was missing at the start"
    );
    match in_store(&*store, Expected { vault: &vault, now, personal }).await {
        Ok(lost) => {
            metrics::gauge!(METRIC).set(lost as f64);
            if lost > 0 {
                tracing::error!(
                    verifications = lost,
                    "keys are missing in the data folder: the numbers of these verifications are unreadable. Put the \
                     newest copy of the folder `keys` back"
                );
            }
        }
        Err(StoreError::Closed) => {}
        Err(error) => tracing::warn!(%error, "cannot count the verifications whose keys are missing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::Phone;
    use crate::store::contract::World;
    use crate::store::sled::Sled;
    use crate::store::{Answer, Order};

    const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    #[tokio::test]
    async fn only_missing_keys_within_retention_are_lost() {
        let world = World::<Sled>::new();
        let mut ids = Vec::new();
        for day in 0..4 {
            world.time.advance(DAY);
            for number in 0..=day {
                ids.push(world.created(&format!("+1202555{day}1{number:02}")).await);
            }
        }
        let now = world.time.now();
        // Same master key, but no day keys.
        let other = Vault::new(&[7; 32]);
        let count = async |vault: &Vault, personal: Duration| {
            in_store(&*world.store, Expected { vault, now, personal }).await.unwrap()
        };
        assert_eq!(count(&world.vault, MONTH).await, 0);
        assert_eq!(count(&other, MONTH).await, 10);
        // Retention has destroyed the earlier keys, which is not a loss.
        assert_eq!(count(&other, DAY).await, 4 + 3);
        let number = world.vault.number_index(&Phone::parse("+12025553100").unwrap());
        while let Answer::Forgotten(1..) = world.execute(Order::Forget(number)).await {}
        assert_eq!(count(&other, DAY).await, 3 + 3, "what was erased is no loss");
        let mut file = Count::new(Expected { vault: &other, now, personal: DAY });
        for id in [&ids[..], &ids[..]].concat() {
            let snapshot = world.store.read(id).await.unwrap().unwrap();
            file.look_at(id, &snapshot.verification.request.person);
        }
        assert_eq!(file.lost(), 4 + 3, "one that is shown twice is one");
    }

    #[test]
    fn a_server_says_how_many() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let world = World::<Sled>::new();
                world.created("+12025550100").await;
                let (store, now) = (std::sync::Arc::clone(&world.store), world.time.now());
                report(store, std::sync::Arc::new(Vault::new(&[7; 32])), now, MONTH).await;
            });
        });
        assert!(handle.render().lines().any(|line| line == format!("{METRIC} 1")), "{}", handle.render());
    }
}
