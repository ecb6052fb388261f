//! TLS towards clients.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandshakeLabels {
    outcome: &'static str,
}

/// How a handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// The connection is open.
    Completed,
    /// The client broke it off, or speaks no TLS, or has no certificate that is taken.
    Failed,
    /// It took too long.
    Slow,
    /// There were too many at the same time.
    Crowded,
}

impl Handshake {
    fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Slow => "slow",
            Self::Crowded => "crowded",
        }
    }
}

/// Metrics of TLS towards clients.
#[derive(Debug, Default)]
pub(super) struct DoorMetrics {
    handshakes: Family<HandshakeLabels, Counter>,
    reload: Gauge,
}

impl DoorMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let this = Self::default();
        registry.register(
            "tls_handshakes",
            "TLS handshakes with clients by how they ended",
            this.handshakes.clone(),
        );
        registry.register(
            "tls_last_reload_successful",
            "1 unless certificate and key were bad when they changed last; those before stay in force then",
            this.reload.clone(),
        );
        this.identified(true);
        this
    }

    pub(super) fn identified(&self, taken: bool) {
        self.reload.set(i64::from(taken));
    }

    pub(super) fn handshake(&self, ended: Handshake) {
        self.handshakes.get_or_create(&HandshakeLabels { outcome: ended.as_str() }).inc();
    }
}
