//! A call as its server gets it.

use bytes::Bytes;
use http::HeaderMap;
use http::header::HeaderValue;

use super::call::Call;
use super::client::{METHOD, NAME};
use crate::core::Core;
use crate::envelope::{Edits, Object, quoted};
use crate::header_text;
use crate::meta;
use crate::trace::Trail;
use crate::version::Era;

impl Call<'_> {
    /// The message as the server gets it.
    pub(super) fn body(&self, core: &Core, id: u64, server: Era) -> Bytes {
        let mut edits = Edits::of(self.text);
        edits.replace(self.id, id.to_string());
        if self.exposed != self.route.original {
            edits.replace(self.target, quoted(&self.route.original));
        }
        let declared = || {
            let level = core.levels.of(self.client.session);
            meta::declared(self.client.capabilities, level)
        };
        let trace = self.trail.as_ref().map(Trail::outgoing);
        meta::rewrite(&mut edits, &self.params, (self.client.era, server), (id, declared, trace.as_ref()));
        if let Some((responses, state)) = &self.given {
            let state = state.as_ref().map(|state| format!(r#","requestState":{state}"#)).unwrap_or_default();
            edits.prepend(self.params.raw(), &format!(r#""inputResponses":{responses}{state}"#));
        }
        edits.finish()
    }

    /// The headers that a server is to find with it.
    pub(super) fn headers(&self, server: Era) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(trail) = &self.trail {
            trail.outgoing().add_to(&mut headers);
        }
        if server == Era::Legacy {
            return headers;
        }
        headers.insert(METHOD, HeaderValue::from_static(self.method.as_str()));
        if self.method.name_member().is_some() {
            headers.insert(NAME, header_text::encode(&self.route.original));
        }
        for mirror in &self.route.mirrored {
            if let Some(value) = mirrored(&self.params, &mirror.path) {
                headers.insert(mirror.header.clone(), value);
            }
        }
        headers
    }
}

/// The argument at `path` as a header value; null and absent arguments have none.
pub(crate) fn mirrored(params: &Object<'_>, path: &[String]) -> Option<HeaderValue> {
    let (last, outer) = path.split_last()?;
    let mut object = params.object("arguments")?;
    for name in outer {
        object = object.object(name)?;
    }
    match object.get(last)? {
        "null" => None,
        raw if raw.starts_with('"') => object.string(last).map(|text| header_text::encode(&text)),
        raw => HeaderValue::try_from(raw).ok(),
    }
}
