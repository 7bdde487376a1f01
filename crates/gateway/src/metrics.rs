//! Numbers about calls.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use std::time::Duration;

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct CallLabels {
    method: String,
    code: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct MethodLabels {
    method: String,
}

/// What the gateway counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    calls: Family<CallLabels, Counter>,
    seconds: Family<MethodLabels, Histogram>,
    pub(crate) connections: Gauge,
    pub(crate) refused_connections: Counter,
}

impl Metrics {
    /// Registers the metrics.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            calls: Family::default(),
            seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 2.0, 16))
            }),
            connections: Gauge::default(),
            refused_connections: Counter::default(),
        };
        registry.register(
            "keystead_gateway_calls",
            "Calls by method and gRPC code",
            metrics.calls.clone(),
        );
        registry.register(
            "keystead_gateway_call_seconds",
            "Time to answer a call",
            metrics.seconds.clone(),
        );
        registry.register(
            "keystead_gateway_connections",
            "Open connections",
            metrics.connections.clone(),
        );
        registry.register(
            "keystead_gateway_refused_connections",
            "Connections closed at once because there were too many, of all clients or of one",
            metrics.refused_connections.clone(),
        );
        metrics
    }

    pub(crate) fn record(&self, method: &str, code: tonic::Code, took: Duration) {
        let code = format!("{code:?}");
        self.calls
            .get_or_create(&CallLabels {
                method: method.to_owned(),
                code,
            })
            .inc();
        self.seconds
            .get_or_create(&MethodLabels {
                method: method.to_owned(),
            })
            .observe(took.as_secs_f64());
    }
}

impl Default for Metrics {
    /// Counts without being read by anybody.
    fn default() -> Self {
        Self::new(&mut Registry::default())
    }
}
