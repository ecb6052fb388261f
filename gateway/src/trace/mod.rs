//! Traces of calls (OpenTelemetry, semantic conventions for MCP): a span for what the client asked, and within it one for what
//! the server was asked, which the server learns of as its parent.
//!
//! Where no endpoint is configured there is no tracer, and a call costs one look whether there is one.

mod context;
mod export;
mod settings;
mod span;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

pub(crate) use context::{Context, Incoming, Outgoing, TRACEPARENT, TRACESTATE};
pub(crate) use export::run;
pub(crate) use settings::Sampler;
pub use settings::{Error, Settings};
use span::Finished;
pub(crate) use span::{About, Span};

/// How long the last spans may take to reach their collector.
const FLUSH: Duration = Duration::from_secs(3);

/// Which spans belong to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trail {
    /// The client's span.
    parent: Option<u64>,
    /// Ours, of what the client asked.
    asked: Context,
    /// Ours within it, of what the server is asked.
    sent: u64,
    state: Option<String>,
}

impl Trail {
    /// What the server is told.
    pub(crate) fn outgoing(&self) -> Outgoing {
        let sent = Context { span: self.sent, ..self.asked };
        Outgoing { parent: sent.to_text(), state: self.state.clone() }
    }
}

/// Begins spans, and hands those that ended to the exporter.
#[derive(Debug)]
pub(crate) struct Tracer {
    sampler: Sampler,
    queue: mpsc::Sender<Finished>,
    metrics: Arc<Metrics>,
    /// Nothing more comes.
    stop: CancellationToken,
    /// What was queued at the end was sent, or given up.
    flushed: CancellationToken,
}

impl Tracer {
    /// One that exports as `settings` say, and what is to be exported.
    pub(crate) fn new(settings: &Settings, metrics: Arc<Metrics>) -> (Self, mpsc::Receiver<Finished>) {
        let (queue, finished) = mpsc::channel(settings.queue);
        (
            Self {
                sampler: settings.sampler,
                queue,
                metrics,
                stop: CancellationToken::new(),
                flushed: CancellationToken::new(),
            },
            finished,
        )
    }

    /// The spans of a call that belongs to `incoming`, or begins a trace.
    pub(crate) fn trail(&self, incoming: Option<Incoming>) -> Trail {
        let parent = incoming.as_ref().map(|incoming| incoming.parent);
        let trace = parent.map_or_else(|| rand::random_range(1..=u128::MAX), |parent| parent.trace);
        let heard = parent.filter(|_| self.sampler.parent).map(|parent| parent.sampled);
        let sampled = heard.unwrap_or_else(|| self.keeps(trace));
        let new_id = || rand::random_range(1..=u64::MAX);
        Trail {
            parent: parent.map(|parent| parent.span),
            asked: Context { trace, span: new_id(), sampled },
            sent: new_id(),
            state: incoming.and_then(|incoming| incoming.state),
        }
    }

    /// Whether a trace is among the share that is kept: all who use the same share decide alike.
    fn keeps(&self, trace: u128) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "the lower 53 bits, which a float holds exactly")]
        let low = (trace as u64) >> 11;
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        let place = low as f64 / (1_u64 << 53) as f64;
        place < self.sampler.ratio
    }

    /// Begins the spans of `trail`, if they are kept.
    pub(crate) fn begin(self: &Arc<Self>, trail: &Trail, about: impl FnOnce() -> About) -> Option<Box<Span>> {
        trail.asked.sampled.then(|| Box::new(Span::new(Arc::clone(self), trail.clone(), about())))
    }

    /// Sends what is queued; what does not arrive in time is lost.
    pub(crate) async fn finish(&self) {
        self.stop.cancel();
        tokio::time::timeout(FLUSH, self.flushed.cancelled()).await.ok();
    }

    fn end(&self, finished: Finished) {
        if self.queue.try_send(finished).is_err() {
            self.metrics.spans(false, 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracer(parent: bool, ratio: f64) -> Tracer {
        let variables =
            |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| "http://collector".to_owned());
        let settings = Settings::from_variables(variables).unwrap().unwrap();
        let settings = Settings { sampler: Sampler { parent, ratio }, ..settings };
        Tracer::new(&settings, Arc::new(Metrics::new())).0
    }

    fn incoming(sampled: bool) -> Incoming {
        Incoming { parent: Context { trace: 7, span: 9, sampled }, state: Some("a=1".into()) }
    }

    #[test]
    fn a_call_stays_in_its_trace_under_spans_of_its_own() {
        let trail = tracer(true, 0.0).trail(Some(incoming(true)));
        assert_eq!((trail.parent, trail.asked.trace, trail.asked.sampled), (Some(9), 7, true));
        let told = Context::parse(&trail.outgoing().parent).unwrap();
        assert_eq!((told.trace, told.span, told.sampled), (7, trail.sent, true));
        assert_ne!(trail.sent, trail.asked.span);
        assert_eq!(trail.outgoing().state.as_deref(), Some("a=1"));
    }

    #[test]
    fn the_parent_decides_unless_it_is_not_asked() {
        assert!(!tracer(true, 1.0).trail(Some(incoming(false))).asked.sampled);
        assert!(tracer(false, 1.0).trail(Some(incoming(false))).asked.sampled);
        assert!(!tracer(false, 0.0).trail(Some(incoming(true))).asked.sampled);
    }

    #[test]
    fn a_share_of_all_traces_is_kept() {
        let tracer = tracer(true, 0.25);
        let kept = (0..4000).filter(|_| tracer.trail(None).asked.sampled).count();
        assert!((800..1200).contains(&kept), "{kept} of 4000");
    }
}
