//! What reaches a recorder of the `metrics` facade.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use metrics::{SharedString, Unit};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use ringseal::{
    Admission, Config, Connection, Identity, Listener, METRICS, MetricKind, MetricUnit,
    MetricsPublisher, Runtime, Statistics, dial,
};

fn config(seed: u8) -> Config {
    Config::new(Identity::from_seed(&[seed; 32]), "ringseal tests")
}

async fn pair() -> (Connection, Connection) {
    let (dialer, server) = (config(1), config(2));
    let bound = Listener::bind("127.0.0.1:0", &server, Admission::any()).await;
    let mut listener = bound.expect("bind");
    let address = listener.local_address();
    let dialed = dial(address, server.public_key(), &dialer);
    let (dialed, accepted) = futures_util::join!(dialed, listener.accept());
    (dialed.expect("dial"), accepted.expect("accept"))
}

/// One number as the recorder has it.
#[derive(Debug)]
struct Recorded {
    unit: Option<Unit>,
    help: Option<SharedString>,
    value: DebugValue,
}

impl Recorded {
    fn count(&self) -> u64 {
        match self.value {
            DebugValue::Counter(count) => count,
            ref other => panic!("{other:?} is no counter"),
        }
    }

    fn level(&self) -> f64 {
        match &self.value {
            DebugValue::Gauge(level) => level.into_inner(),
            other => panic!("{other:?} is no gauge"),
        }
    }
}

/// Everything that was recorded, by name and label but for `thread`. Takes the counts out.
fn recorded(snapshotter: &Snapshotter) -> BTreeMap<(String, Option<String>), Recorded> {
    let all = snapshotter.snapshot().into_vec().into_iter();
    let entries = all.map(|(key, unit, help, value)| {
        let labels: Vec<_> = key.key().labels().collect();
        assert_eq!((labels[0].key(), labels[0].value()), ("thread", "7"));
        let own = labels.get(1).map(|label| label.value().to_owned());
        let recorded = Recorded { unit, help, value };
        ((key.key().name().to_owned(), own), recorded)
    });
    entries.collect()
}

#[test]
fn a_recorder_gets_all_of_the_table_with_texts_and_what_was_added_each_time() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let runtime = Runtime::builder().build().expect("a runtime");
        runtime.block_on(async {
            let mut publisher = MetricsPublisher::new(&[("thread", "7")]);
            let mut publish = || publisher.publish(&Statistics::current().expect("inside"));
            let (mut near, mut far) = pair().await;
            for _ in 0..100 {
                near.send(b"message").await.expect("send");
            }
            near.flush().await.expect("flush");
            for _ in 0..100 {
                far.recv().await.expect("recv").expect("a message");
            }
            // Records count when whoever has gone through them looks for more.
            assert!(futures_util::poll!(std::pin::pin!(far.recv())).is_pending());
            publish();
            check_first(&recorded(&snapshotter));

            near.send(b"another").await.expect("send");
            near.flush().await.expect("flush");
            far.recv().await.expect("recv").expect("a message");
            publish();
            // The snapshot before has taken the counts out, so this is what was added.
            let second = recorded(&snapshotter);
            let sent = (
                "ringseal_messages_total".to_owned(),
                Some("sent".to_owned()),
            );
            assert_eq!(second[&sent].count(), 1);
        });
    });
}

fn check_first(all: &BTreeMap<(String, Option<String>), Recorded>) {
    let keys: BTreeSet<_> = all.keys().cloned().collect();
    let expected = METRICS.iter().map(|metric| {
        let label = metric.label().map(|(_, value)| value.to_owned());
        (metric.name().to_owned(), label)
    });
    assert_eq!(keys, expected.collect());
    for metric in METRICS {
        let label = metric.label().map(|(_, value)| value.to_owned());
        let recorded = &all[&(metric.name().to_owned(), label)];
        assert_eq!(recorded.help.as_deref(), Some(metric.help()));
        let unit = match metric.unit() {
            MetricUnit::Count => Unit::Count,
            MetricUnit::Bytes => Unit::Bytes,
            MetricUnit::Seconds => Unit::Seconds,
        };
        assert_eq!(recorded.unit, Some(unit), "{}", metric.name());
        let has_fractions = metric.unit() == MetricUnit::Seconds;
        let is_counter = metric.kind() == MetricKind::Counter && !has_fractions;
        assert_eq!(matches!(recorded.value, DebugValue::Counter(_)), is_counter);
    }
    let get = |name: &str, label: Option<&str>| {
        let key = (name.to_owned(), label.map(ToOwned::to_owned));
        &all[&key]
    };
    for direction in ["sent", "received"] {
        let messages = get("ringseal_messages_total", Some(direction)).count();
        let records = get("ringseal_records_total", Some(direction)).count();
        let bytes = get("ringseal_wire_bytes_total", Some(direction)).count();
        assert_eq!(messages, 100);
        assert!(
            (1..100).contains(&records),
            "{records} records hold 100 messages"
        );
        assert!(bytes > 700, "{bytes}");
    }
    for handshakes in [
        "ringseal_dialed_handshakes_total",
        "ringseal_accepted_handshakes_total",
    ] {
        assert_eq!(get(handshakes, Some("established")).count(), 1);
        assert_eq!(get(handshakes, Some("invalid")).count(), 0);
    }
    assert!((get("ringseal_connections", Some("open")).level() - 2.0).abs() < 0.1);
    assert!(get("ringseal_heap_budget_bytes", None).level() > 0.0);
    assert!(get("ringseal_submissions_total", None).count() > 0);
}

#[test]
fn a_publisher_that_runs_publishes_again_and_again() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let runtime = Runtime::builder().build().expect("a runtime");
        runtime.block_on(async {
            let publisher = MetricsPublisher::new(&[("thread", "7")]);
            // As short as can be.
            ringseal::spawn(publisher.run(Duration::ZERO));
            let (_near, _far) = pair().await;
            let open = ("ringseal_connections".to_owned(), Some("open".to_owned()));
            let published = async {
                while recorded(&snapshotter)[&open].level() < 1.5 {
                    ringseal::sleep(Duration::from_millis(10)).await;
                }
            };
            ringseal::timeout(Duration::from_secs(30), published)
                .await
                .expect("two connections are open");
        });
    });
}
