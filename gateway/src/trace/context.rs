//! W3C trace context: which trace a call belongs to, and under which span.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::envelope::{Object, quoted};

/// Name of the header, and of the member of `_meta`, that names trace and parent (<https://www.w3.org/TR/trace-context/>).
pub(crate) const TRACEPARENT: &str = "traceparent";
/// The same for what vendors add.
pub(crate) const TRACESTATE: &str = "tracestate";
/// Bytes of a `tracestate` that is passed on.
const MAX_STATE: usize = 512;
const SAMPLED: u8 = 1;

/// A span in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) trace: u128,
    pub(crate) span: u64,
    /// Whether whoever began the trace wants it kept.
    pub(crate) sampled: bool,
}

impl Context {
    /// What `text`, a `traceparent`, says; `None` if it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (version, rest) = text.split_once('-')?;
        let version = number(version, 2)?;
        let (trace, rest) = rest.split_once('-')?;
        let (span, rest) = rest.split_once('-')?;
        let (flags, more) = rest.split_once('-').map_or((rest, None), |(flags, more)| (flags, Some(more)));
        // Version ff is none, and the first one has nothing behind its flags; later ones may.
        if version == 0xff || (version == 0 && more.is_some()) {
            return None;
        }
        let (trace, span) = (number(trace, 32)?, u64::try_from(number(span, 16)?).ok()?);
        let flags = u8::try_from(number(flags, 2)?).ok()?;
        (trace != 0 && span != 0).then_some(Self { trace, span, sampled: flags & SAMPLED != 0 })
    }

    /// The `traceparent` that names this span.
    pub(crate) fn to_text(self) -> String {
        let mut text = String::with_capacity(55);
        // Writing into a string does not fail.
        write!(text, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled)).ok();
        text
    }
}

/// Lower-case hexadecimal digits, exactly so many.
fn number(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() == digits && text.bytes().all(is_digit) {
        u128::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

/// What a request says of the trace that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub(crate) parent: Context,
    pub(crate) state: Option<String>,
}

impl Incoming {
    /// By its headers.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        Some(Self { parent: Context::parse(text(TRACEPARENT)?)?, state: state(text(TRACESTATE)) })
    }

    /// By its `_meta`, where MCP wants it.
    pub(crate) fn of_meta(meta: &Object<'_>) -> Option<Self> {
        let parent = Context::parse(&meta.string(TRACEPARENT)?)?;
        Some(Self { parent, state: state(meta.string(TRACESTATE).as_deref()) })
    }
}

fn state(text: Option<&str>) -> Option<String> {
    let is_plain = |text: &&str| {
        !text.is_empty() && text.len() <= MAX_STATE && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    };
    text.filter(is_plain).map(str::to_owned)
}

/// What a server is told of the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) parent: String,
    pub(crate) state: Option<String>,
}

impl Outgoing {
    /// Says the same in headers.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        let value = |text: &str| HeaderValue::try_from(text).ok();
        headers.extend(value(&self.parent).map(|value| (HeaderName::from_static(TRACEPARENT), value)));
        let state = self.state.as_deref().and_then(value);
        headers.extend(state.map(|value| (HeaderName::from_static(TRACESTATE), value)));
    }

    /// The members that `_meta` is to have, but for a `tracestate` where it has one already.
    pub(crate) fn members(&self, has_state: bool) -> String {
        let parent = format!(r#""{TRACEPARENT}":"{}""#, self.parent);
        match self.state.as_ref().filter(|_| !has_state) {
            Some(state) => format!(r#"{parent},"{TRACESTATE}":{}"#, quoted(state)),
            None => parent,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_recommendation_says() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let read = Context::parse(good).unwrap();
        assert_eq!(
            (read.trace, read.span, read.sampled),
            (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7, true)
        );
        assert_eq!(read.to_text(), good);
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02-more";
        assert!(!Context::parse(later).unwrap().sampled);
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Context::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_state_that_is_too_long_or_no_text_is_left_out() {
        let headers = |state: &str| {
            let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
            HeaderMap::from_iter([
                (http::HeaderName::from_static(TRACEPARENT), parent.parse().unwrap()),
                (
                    http::HeaderName::from_static(TRACESTATE),
                    http::HeaderValue::from_bytes(state.as_bytes()).unwrap(),
                ),
            ])
        };
        assert_eq!(Incoming::of_headers(&headers("a=1,b=2")).unwrap().state.as_deref(), Some("a=1,b=2"));
        assert_eq!(Incoming::of_headers(&headers(&"x".repeat(513))).unwrap().state, None);
        assert_eq!(Incoming::of_headers(&headers("ä")).unwrap().state, None);
        assert_eq!(Incoming::of_headers(&HeaderMap::new()), None);
    }

    proptest! {
        #[test]
        fn every_span_is_read_as_it_was_written(trace in 1_u128.., span in 1_u64.., sampled: bool) {
            let context = Context { trace, span, sampled };
            prop_assert_eq!(Context::parse(&context.to_text()), Some(context));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".*") {
            Context::parse(&text);
        }
    }
}
