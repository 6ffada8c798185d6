//! What a flood of reports that are not ours costs on the disk, and that forgetting holds nobody up.

use std::fs;

use super::damage::Sled;
use super::keys::Row;
use super::rebuilt::rows;
use super::{Limits, Settings, open};
use crate::clock::{Clock, ManualClock};
use crate::store::contract::{LIMITS, World};
use crate::store::{Alert, Order, Retention, Store};
use crate::verification::values::{ChannelName, ProviderRef, Report, ReportStatus, Timestamp};

#[tokio::test]
async fn a_flood_of_foreign_reports_costs_a_bounded_number_of_rows_and_bytes() {
    let world = World::<Sled>::new();
    let report = |n: usize| Order::Report {
        channel: ChannelName::new("whatsapp"),
        report: Report {
            status: ReportStatus::Delivered,
            reported_at: None,
            provider_ref: Some(
                ProviderRef::parse(&format!("wamid.HBgLNDkxNTIyODgxNzM4NhUCABE{n:012}")).unwrap(),
            ),
            reference: None,
            aliases: Vec::new(),
        },
    };
    let (mut sent, mut sizes) = (0, Vec::new());
    for flood in 1..=3 {
        while sent < flood * 3 * LIMITS.parked {
            world.store.execute((sent..sent + 500).map(report).collect()).await.unwrap();
            sent += 500;
        }
        // Nothing is asked of the store while it gives sled what it lacks.
        world.store.find(ChannelName::new("whatsapp"), "nobody".to_owned()).await.unwrap();
        sizes.push(fs::metadata(world.folder.path().join("data/db")).unwrap().len());
    }
    assert!(sizes[2] < sizes[0] * 2, "the file stops growing: {sizes:?}");
    world.store.close().await.unwrap();
    let parked = rows(world.folder.path()).1.into_keys().filter(|key| key[0] == Row::Parked as u8).count();
    assert_eq!(parked, LIMITS.parked);
}

#[tokio::test]
async fn a_sweep_waits_for_what_else_there_is_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let now = Timestamp::from_millis(1_795_000_000_000);
    let settings = Settings {
        path: folder.path().to_owned(),
        rates: Default::default(),
        key_id: [0; 4],
        limits: Limits::default(),
    };
    let (store, _errands) = open(settings, Clock::Manual(ManualClock::starting_at(now))).unwrap();
    let alert = Alert {
        at: Timestamp::from_millis(0),
        channel: ChannelName::new("whatsapp"),
        code: "a".to_owned(),
        title: "old".to_owned(),
        subject: None,
        fingerprint: None,
        evidence: None,
    };
    store.execute(vec![Order::Alert(alert)]).await.unwrap();
    // While the thread is held up, a sweep comes, and then somebody who wants to read.
    let (go_on, held) = std::sync::mpsc::channel::<()>();
    let hold = store.look(move |_| {
        let _ = held.recv();
        Ok(())
    });
    let sweep = store.sweep_old(Retention { verifications: now, inbound: now, audit: now });
    let read = store.alerts(10, None);
    go_on.send(()).unwrap();
    hold.await.unwrap();
    assert_eq!(read.await.unwrap().items.len(), 1, "the sweep came first and was done last");
    assert!(!sweep.await.unwrap().more);
    assert!(store.alerts(10, None).await.unwrap().items.is_empty());
    store.close().await.unwrap();
}
