//! What a server tells of itself, as Prometheus reads it.

use super::statistics::ServerStatistics;
use crate::net::PrometheusText;

impl ServerStatistics {
    /// Returns it as Prometheus reads it: for each thread that has not ended, under the label `thread`,
    /// the metrics of its runtime (see [`METRICS`](crate::METRICS)); and what only a server counts:
    ///
    /// * `ringseal_server_connections`, `ringseal_server_handshakes_under_way`,
    ///   `ringseal_server_handshakes_total` by `outcome`, `ringseal_server_handler_panics_total` and
    ///   `ringseal_server_thread_ended`, all by `thread`, as in
    ///   [`ThreadStatistics`](super::ThreadStatistics);
    /// * `ringseal_server_refusals_total`: clients by the `reason` why they were refused, as in
    ///   [`Refusals`](super::Refusals).
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
        self.hand_on(&mut text);
        text
    }
}
