//! What reaches a recorder of the `metrics` facade.

mod slowness;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use metrics::{SharedString, Unit};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use ringseal::{
    Admission, Config, Connection, Identity, Listener, METRICS, MetricKind, MetricUnit,
    MetricsPublisher, Runtime, Server, ServerBuilder, ServerStatistics, Session, Statistics, dial,
};
use slowness::slowed;

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
            ringseal::timeout(slowed(Duration::from_secs(30)), published)
                .await
                .expect("two connections are open");
        });
    });
}

/// Numbers by their names with labels.
type Numbers = BTreeMap<String, f64>;

/// What the text of Prometheus has.
fn in_text(statistics: &ServerStatistics) -> Numbers {
    let text = statistics.prometheus_text().to_string();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let numbers = samples.map(|sample| {
        let (name, value) = sample.rsplit_once(' ').expect("a value");
        (name.to_owned(), value.parse().expect("a number"))
    });
    numbers.collect()
}

/// Adds what a recorder has got to what it had before: counts are taken out by each look.
fn add_recorded(snapshotter: &Snapshotter, numbers: &mut Numbers) {
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let labels = key.key().labels();
        let labels: Vec<_> = labels
            .map(|label| format!("{}=\"{}\"", label.key(), label.value()))
            .collect();
        let name = format!("{}{{{}}}", key.key().name(), labels.join(","));
        let number = numbers.entry(name).or_default();
        match value {
            DebugValue::Counter(count) => *number += count as f64,
            DebugValue::Gauge(level) => *number = level.into_inner(),
            other @ DebugValue::Histogram(_) => panic!("{other:?}"),
        }
    }
}

/// Panics when it is told to, and ends with the peer.
async fn panic_on_demand(mut connection: Connection, _session: Session) {
    while let Ok(Some(message)) = connection.recv().await {
        assert!(*message != *b"panic", "on purpose");
    }
}

async fn wait_for(server: &Server, is_so: impl Fn(&ServerStatistics) -> bool) -> ServerStatistics {
    let waiting = async {
        loop {
            let statistics = server.handle().statistics().await;
            if is_so(&statistics) {
                return statistics;
            }
            ringseal::sleep(Duration::from_millis(1)).await;
        }
    };
    let patience = slowed(Duration::from_secs(30));
    ringseal::timeout(patience, waiting).await.expect("in time")
}

#[test]
fn a_server_hands_on_the_same_numbers_as_text_and_to_a_recorder() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let admission = Admission::allow_list([config(1).public_key()]);
        let server = ServerBuilder::new(config(2), admission)
            .bind("127.0.0.1:0")
            .threads(2)
            .start(panic_on_demand)
            .expect("a server");
        let runtime = Runtime::builder().build().expect("a runtime");
        runtime.block_on(async {
            let (address, key) = (server.local_address(), config(2).public_key());
            let mut publisher = MetricsPublisher::of_server(&[]);
            let mut published = Numbers::new();
            let mut compare = |statistics: &ServerStatistics| {
                publisher.publish(statistics);
                add_recorded(&snapshotter, &mut published);
                let text = in_text(statistics);
                let missing = published.keys().filter(|name| !text.contains_key(*name));
                let missing: Vec<_> = missing.cloned().collect();
                let recorded = published
                    .iter()
                    .filter(|(name, _)| text.contains_key(*name));
                let recorded: Numbers = recorded
                    .map(|(name, value)| (name.clone(), *value))
                    .collect();
                assert_eq!(recorded, text);
                (published.clone(), missing)
            };
            let staying = dial(&address, key, &config(1)).await.expect("dial");
            let mut panicking = dial(&address, key, &config(1)).await.expect("dial");
            let statistics = wait_for(&server, |it| it.connections == 2).await;
            let (first, missing) = compare(&statistics);
            assert!(missing.is_empty(), "{missing:?}");
            assert!(first.len() > 100, "of two threads");

            panicking.send(b"panic").await.expect("send");
            panicking.flush().await.expect("flush");
            dial(&address, key, &config(3))
                .await
                .expect_err("not admitted");
            let statistics = wait_for(&server, |it| {
                it.handler_panics == 1 && it.refusals.not_admitted == 1
            })
            .await;
            let (second, missing) = compare(&statistics);
            assert!(missing.is_empty(), "{missing:?}");
            let sum = |numbers: &Numbers, name: &str, label: &str| -> f64 {
                let of_name =
                    |key: &str| key.starts_with(&format!("{name}{{")) && key.contains(label);
                let found = numbers.iter().filter(|(key, _)| of_name(key));
                found.map(|(_, value)| *value).sum()
            };
            for (name, label) in [
                ("ringseal_server_handler_panics_total", ""),
                ("ringseal_server_refusals_total", "reason=\"not_admitted\""),
                (
                    "ringseal_server_handshakes_total",
                    "outcome=\"not_admitted\"",
                ),
            ] {
                assert_eq!(sum(&first, name, label), 0.0, "{name}");
                assert_eq!(sum(&second, name, label), 1.0, "{name}");
            }
            drop((staying, panicking));

            // Of a runtime that has ended the text has nothing, and no level stays as it was.
            server
                .handle()
                .drain(slowed(Duration::from_secs(30)))
                .await
                .expect("no child");
            let statistics =
                wait_for(&server, |it| it.threads.iter().all(|one| one.has_ended)).await;
            let (last, _) = compare(&statistics);
            assert_eq!(sum(&last, "ringseal_server_thread_ended", ""), 2.0);
            assert_eq!(sum(&last, "ringseal_server_connections", ""), 0.0);
            server.wait().await.expect("no panic");
        });
    });
}

#[test]
fn the_levels_of_a_runtime_that_has_ended_go_to_nothing() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let server = ServerBuilder::new(config(2), Admission::any())
            .bind("127.0.0.1:0")
            .threads(1)
            .start(panic_on_demand)
            .expect("a server");
        let handle = server.handle();
        let mut publisher = MetricsPublisher::of_server(&[("name", "one")]);
        let mut numbers = Numbers::new();
        let statistics = || futures::executor::block_on(handle.statistics());
        publisher.publish(&statistics());
        add_recorded(&snapshotter, &mut numbers);
        let slots = "ringseal_slots{name=\"one\",thread=\"0\"}";
        assert!(numbers[slots] > 0.0);
        handle.shut_down();
        server.join().expect("no panic");
        publisher.publish(&statistics());
        add_recorded(&snapshotter, &mut numbers);
        assert_eq!(numbers[slots], 0.0);
    });
}
