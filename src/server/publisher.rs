//! Hands what a server tells of itself to the `metrics` facade.

use super::statistics::ServerStatistics;
use crate::net::MetricsPublisher;

impl MetricsPublisher<ServerStatistics> {
    /// Publishes what a server counts under `labels`, which have to differ from those of other
    /// publishers: the numbers that
    /// [`ServerStatistics::prometheus_text`] has, under the same names and labels. Each is described
    /// and registered when it is published first. The levels of a thread that has ended go to 0.
    ///
    /// ```
    /// use ringseal::{Admission, Config, Identity, MetricsPublisher, ServerBuilder};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = Config::new(Identity::from_seed(&[1; 32]), "example");
    /// let server = ServerBuilder::new(config, Admission::any())
    ///     .bind("127.0.0.1:0")
    ///     .start(|connection, _session| async move { drop(connection) })?;
    /// let handle = server.handle();
    /// let mut publisher = MetricsPublisher::of_server(&[]);
    /// // As often as somebody looks.
    /// publisher.publish(&handle.statistics().await);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn of_server(labels: &[(&str, &str)]) -> Self {
        Self::under(labels)
    }

    /// Hands on what has changed since the last call. Give it snapshots of one server, the older
    /// first.
    pub fn publish(&mut self, statistics: &ServerStatistics) {
        self.publish_with(|sink| statistics.hand_on(sink));
    }
}
