//! What `ringseal-bench` takes from its other end: orders, descriptions, figures. Any bytes, and orders
//! and descriptions that are right but for their values.

use ringseal_cli::failure::Failure;
use ringseal_cli::snapshot::Snapshot;
use ringseal_cli::work_order::{Description, MAX_BATCH, WorkOrder};

use crate::text::check_error;

/// What the listener is prepared for.
const CONNECTIONS: u32 = 100;
const LONGEST: u32 = 65_536;

pub(crate) fn bench_control(data: &[u8]) {
    order(data);
    description(data);
    if let Some(snapshot) = Snapshot::decode(data) {
        assert_eq!(snapshot.encode(), data);
        assert_eq!(snapshot.since(&snapshot), Snapshot::default());
    }
}

fn order(bytes: &[u8]) {
    let order = match WorkOrder::decode(bytes, CONNECTIONS, LONGEST) {
        Ok(order) => order,
        Err(error) => return check_failure(&error),
    };
    assert!(order.connections <= CONNECTIONS && order.work.size <= LONGEST);
    assert!((1..=MAX_BATCH).contains(&order.work.batch));
    let again = WorkOrder::decode(&order.encode(), CONNECTIONS, LONGEST);
    assert!(matches!(again, Ok(again) if again == order));
}

fn description(bytes: &[u8]) {
    // Whatever the listener says why it has refused.
    let Ok(description) = Description::decode(bytes) else {
        return;
    };
    let again = Description::decode(&Description::encode(&Ok(description.clone())));
    assert!(matches!(again, Ok(again) if again == description));
}

fn check_failure(failure: &Failure) {
    match failure {
        Failure::Failed(text) => check_error(text),
        Failure::OutputClosed => panic!("nothing was written"),
    }
}
