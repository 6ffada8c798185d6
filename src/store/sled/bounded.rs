//! What a flood of reports that are not ours costs on the disk.

use super::damage::Sled;
use super::keys::Row;
use super::rebuilt::rows;
use crate::store::Order;
use crate::store::contract::World;
use crate::store::parked::MOST_PARKED;
use crate::verification::values::{ChannelName, ProviderRef, Report, ReportStatus};

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
        },
    };
    let (mut sent, mut sizes) = (0, Vec::new());
    for flood in 1..=3 {
        while sent < flood * MOST_PARKED {
            world.store.execute((sent..sent + 500).map(report).collect()).await.unwrap();
            sent += 500;
        }
        // Nothing is asked of the store while it gives sled what it lacks.
        world.store.find(ChannelName::new("whatsapp"), "nobody".to_owned()).await.unwrap();
        sizes.push(world.store.size());
    }
    assert!(sizes[2] < sizes[0] * 2, "the file stops growing: {sizes:?}");
    world.store.close().await.unwrap();
    let parked = rows(world.folder.path()).1.into_keys().filter(|key| key[0] == Row::Parked as u8).count();
    assert_eq!(parked, MOST_PARKED);
}
