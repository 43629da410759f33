//! What a server tells of itself, as Prometheus reads it.

use super::statistics::{Refusals, ServerStatistics};
use crate::net::PrometheusText;

impl ServerStatistics {
    /// Returns it as Prometheus reads it: for each thread that has not ended, under the label `thread`,
    /// the metrics of its runtime (see [`METRICS`](crate::METRICS)); and what only a server counts:
    ///
    /// * `ringseal_server_refusals_total`: clients by the `reason` why they were refused, as in
    ///   [`Refusals`];
    /// * `ringseal_server_handler_panics_total`: handlers that have panicked, by `thread`.
    ///
    /// ```
    /// use ringseal::{Admission, Config, Identity, ServerBuilder};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = Config::new(Identity::from_seed(&[1; 32]), "example");
    /// let server = ServerBuilder::new(config, Admission::any())
    ///     .bind("127.0.0.1:0")
    ///     .start(|connection, _session| async move { drop(connection) })?;
    /// let text = server.handle().statistics().await.prometheus_text().to_string();
    /// assert!(text.contains("ringseal_connections{thread=\"0\",state=\"open\"} 0\n"));
    /// assert!(text.contains("ringseal_server_refusals_total{reason=\"not_admitted\"} 0\n"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn prometheus_text(&self) -> PrometheusText {
        let mut text = PrometheusText::new();
        let threads = || (0..).map(|thread: usize| thread.to_string());
        for (thread, statistics) in threads().zip(&self.threads) {
            if let Some(runtime) = &statistics.runtime {
                text.add(&[("thread", &thread)], runtime);
            }
        }
        text.add_counter(
            "ringseal_server_refusals_total",
            "Clients that were refused, by reason.",
            "reason",
            reasons(&self.refusals),
        );
        let panics = self.threads.iter().map(|thread| thread.handler_panics);
        text.add_counter(
            "ringseal_server_handler_panics_total",
            "Handlers that have panicked.",
            "thread",
            threads().zip(panics),
        );
        text
    }
}

fn reasons(refusals: &Refusals) -> [(&'static str, u64); 7] {
    let Refusals {
        by_filter,
        not_admitted,
        connections,
        connections_per_peer,
        connections_per_source,
        handshakes_per_second,
        shutting_down,
    } = *refusals;
    [
        ("by_filter", by_filter),
        ("not_admitted", not_admitted),
        ("connections", connections),
        ("connections_per_peer", connections_per_peer),
        ("connections_per_source", connections_per_source),
        ("handshakes_per_second", handshakes_per_second),
        ("shutting_down", shutting_down),
    ]
}
