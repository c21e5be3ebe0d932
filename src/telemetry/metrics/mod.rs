//! What is counted. Label values are words of this program, from short lists: names and texts of the
//! cluster's objects are told only by what reads the cache at each scrape, and go with their objects.

pub mod requests;
pub mod table;

use std::borrow::Cow;
use std::time::Duration;

use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric as Encodes, Registry};
use table::Metric;

/// A label's name and its value.
pub type Label<'a> = (&'static str, Cow<'a, str>);

type Words<const N: usize> = [(&'static str, &'static str); N];
type Counters<const N: usize> = Family<Words<N>, Counter>;

/// Upper bounds of the histogram, in seconds: from a look at the cache to the deadline of a look.
const BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];

const WORKLOADS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

/// How a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Well,
    /// Something changed meanwhile.
    Stale,
    /// With an error of this kind.
    Badly(&'static str),
}

/// How metrics are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    OpenMetrics,
    /// For tools that do not ask for the other.
    Prometheus,
}

impl Format {
    /// What the header Accept asks for.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The counts of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: RwLock<Registry>,
    reconciles: Counters<1>,
    duration: Histogram,
    errors: Counters<1>,
    last_success: Gauge,
    writes: Counters<3>,
    confined: Counters<1>,
    watch_errors: Counters<1>,
    watch_lists: Counters<1>,
    rollouts_started: Counters<1>,
    rollouts_finished: Counters<1>,
    rollbacks: Counters<1>,
    drift_repairs: Counters<1>,
    verifications: Counters<1>,
    pods_asked: Counters<1>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let metrics = Self {
            reconciles: registered(&mut registry, &table::RECONCILES, Family::default()),
            duration: registered(&mut registry, &table::DURATION, Histogram::new(BUCKETS)),
            errors: registered(&mut registry, &table::ERRORS, Family::default()),
            last_success: registered(&mut registry, &table::LAST_SUCCESS, Gauge::default()),
            writes: registered(&mut registry, &table::WRITES, Family::default()),
            confined: registered(&mut registry, &table::CONFINED, Family::default()),
            watch_errors: registered(&mut registry, &table::WATCH_ERRORS, Family::default()),
            watch_lists: registered(&mut registry, &table::WATCH_STARTS, Family::default()),
            rollouts_started: registered(&mut registry, &table::ROLLOUTS_STARTED, Family::default()),
            rollouts_finished: registered(&mut registry, &table::ROLLOUTS_FINISHED, Family::default()),
            rollbacks: registered(&mut registry, &table::ROLLBACKS, Family::default()),
            drift_repairs: registered(&mut registry, &table::DRIFT_REPAIRS, Family::default()),
            verifications: registered(&mut registry, &table::VERIFICATIONS, Family::default()),
            pods_asked: registered(&mut registry, &table::PODS_ASKED, Family::default()),
            registry: RwLock::default(),
        };
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register(table::BUILD.name, table::BUILD.help, build);
        registry.register_collector(Box::new(Process));
        // A rate over a counter that begins with its first event does not see that event.
        begin(&metrics.confined, "resource", &table::RESOURCES);
        begin(&metrics.reconciles, "result", &["success", "stale", "error"]);
        begin(
            &metrics.errors,
            "kind",
            &["deadline", "unreachable", "forbidden", "rejected", "server", "other"],
        );
        begin(&metrics.rollbacks, "weaker", &["true", "false"]);
        begin(&metrics.rollouts_started, "kind", &WORKLOADS);
        begin(&metrics.rollouts_finished, "kind", &WORKLOADS);
        begin(&metrics.drift_repairs, "kind", &["ConfigMap"]);
        begin(&metrics.drift_repairs, "kind", &WORKLOADS);
        Self { registry: RwLock::new(registry), ..metrics }
    }
}

fn registered<M: Encodes + Clone>(registry: &mut Registry, metric: &Metric, counts: M) -> M {
    registry.register(metric.name, metric.help, counts.clone());
    counts
}

fn begin(counters: &Counters<1>, label: &'static str, words: &[&'static str]) {
    words.iter().for_each(|word| {
        counters.get_or_create(&[(label, *word)]).inc_by(0);
    });
}

impl Metrics {
    /// Adds what is read at each scrape.
    pub fn read_also(&self, collector: impl Collector) {
        self.registry.write().register_collector(Box::new(collector));
    }

    /// Everything, as a scrape gets it.
    #[must_use]
    pub fn written(&self, format: Format) -> String {
        let registry = self.registry.read();
        let mut written = String::new();
        let ended = match format {
            Format::OpenMetrics => text::encode(&mut written, &registry),
            Format::Prometheus => prometheus_text::encode(&mut written, &registry),
        };
        // Writing to a string does not fail; half a page would be worse than none.
        ended.map(|()| written).unwrap_or_default()
    }

    pub fn reconciled(&self, ended: Ended, took: Duration, now: i64) {
        self.duration.observe(took.as_secs_f64());
        let result = match ended {
            Ended::Well => "success",
            Ended::Stale => "stale",
            Ended::Badly(kind) => {
                self.errors.get_or_create(&[("kind", kind)]).inc();
                "error"
            }
        };
        if ended == Ended::Well {
            self.last_success.set(now);
        }
        self.reconciles.get_or_create(&[("result", result)]).inc();
    }

    pub fn wrote(&self, resource: &'static str, verb: &'static str, result: &'static str) {
        self.writes.get_or_create(&[("resource", resource), ("verb", verb), ("result", result)]).inc();
    }

    pub fn confined(&self, resource: &'static str) {
        self.confined.get_or_create(&[("resource", resource)]).inc();
    }

    /// A watch begins with a full list.
    pub fn lists(&self, kind: &'static str) {
        self.watch_lists.get_or_create(&[("kind", kind)]).inc();
        // So that the first error is seen as one more.
        self.watch_errors.get_or_create(&[("kind", kind)]).inc_by(0);
    }

    pub fn watch_failed(&self, kind: &'static str) {
        self.watch_errors.get_or_create(&[("kind", kind)]).inc();
    }

    pub fn rollout_started(&self, kind: &'static str) {
        self.rollouts_started.get_or_create(&[("kind", kind)]).inc();
    }

    pub fn rollout_finished(&self, kind: &'static str) {
        self.rollouts_finished.get_or_create(&[("kind", kind)]).inc();
    }

    pub fn rolled_back(&self, weaker: &'static str) {
        self.rollbacks.get_or_create(&[("weaker", weaker)]).inc();
    }

    pub fn repaired(&self, kind: &'static str) {
        self.drift_repairs.get_or_create(&[("kind", kind)]).inc();
    }

    pub fn verified(&self, result: &'static str) {
        self.verifications.get_or_create(&[("result", result)]).inc();
    }

    pub fn pod_asked(&self, answer: &'static str) {
        self.pods_asked.get_or_create(&[("answer", answer)]).inc();
    }
}

/// Writes a gauge with one sample for each label set.
///
/// # Errors
/// When the encoder fails.
pub fn gauges<'a, const N: usize>(
    encoder: &mut DescriptorEncoder,
    metric: &Metric,
    samples: impl Iterator<Item = ([Label<'a>; N], i64)>,
) -> Result<(), std::fmt::Error> {
    let gauge: Gauge = Gauge::default();
    let mut family =
        encoder.encode_descriptor(metric.name, metric.help, None, EncodeMetric::metric_type(&gauge))?;
    for (labels, value) in samples {
        family.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

/// Writes an info with one sample for each label set.
///
/// # Errors
/// When the encoder fails.
pub fn infos<'a, const N: usize>(
    encoder: &mut DescriptorEncoder,
    metric: &Metric,
    samples: impl Iterator<Item = [Label<'a>; N]>,
) -> Result<(), std::fmt::Error> {
    let mut family = encoder.encode_descriptor(
        metric.name,
        metric.help,
        None,
        prometheus_client::metrics::MetricType::Info,
    )?;
    for labels in samples {
        family.encode_info(&labels)?;
    }
    Ok(())
}

/// What the kernel knows of this process.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<i64>().ok());
        let samples = resident.into_iter().map(|kilobytes| ([], kilobytes * 1_024));
        gauges::<0>(&mut encoder, &table::MEMORY, samples)
    }
}

#[cfg(test)]
mod tests;
