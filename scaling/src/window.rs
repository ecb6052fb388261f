//! The mean load over the time just past.

use std::collections::VecDeque;
use std::time::Duration;

/// A span is as long as the window divided by this, or longer: two neighbours are longer together. A window has so
/// no more than twice this many of them, and two.
const SPANS: f64 = 50.0;

/// A time with the mean load in it.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// Seconds.
    length: f64,
    /// Calls.
    mean: f64,
}

/// The load over the time just past, as spans that follow each other, the newest last.
#[derive(Debug, Clone, Default)]
pub struct LoadWindow {
    spans: VecDeque<Span>,
}

impl LoadWindow {
    /// Adds the time just past, and forgets what lies before `window`.
    pub fn note(&mut self, span: Duration, mean: f64, window: Duration) {
        let (length, window) = (span.as_secs_f64().min(window.as_secs_f64()), window.as_secs_f64());
        if length <= 0.0 {
            return;
        }
        match self.spans.back_mut() {
            Some(last) if last.length + length <= window / SPANS => last.grow(length, mean),
            _ => self.spans.push_back(Span { length, mean }),
        }
        let mut surplus = self.spans.iter().map(|span| span.length).sum::<f64>() - window;
        while let Some(oldest) = self.spans.front().filter(|oldest| oldest.length <= surplus) {
            surplus -= oldest.length;
            self.spans.pop_front();
        }
    }

    /// The mean over the last `time`, or over what was seen of it; none where nothing was.
    pub fn mean(&self, time: Duration) -> Option<f64> {
        let mut left = time.as_secs_f64();
        let (mut seen, mut sum) = (0.0, 0.0);
        for span in self.spans.iter().rev() {
            let length = span.length.min(left);
            seen += length;
            sum += length * span.mean;
            left -= length;
            if left <= 0.0 {
                break;
            }
        }
        (seen > 0.0).then(|| sum / seen)
    }

    /// Bytes on the heap.
    pub fn heap(&self) -> usize {
        self.spans.capacity() * size_of::<Span>()
    }
}

impl Span {
    /// Takes in a time that follows.
    fn grow(&mut self, length: f64, mean: f64) {
        let whole = self.length + length;
        self.mean += (mean - self.mean) * (length / whole);
        self.length = whole;
    }
}
