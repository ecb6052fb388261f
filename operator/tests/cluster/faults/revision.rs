//! The digests in names of a model's children, which hold the model's name, by words that say what they are.

use serde_json::Value;

use super::snapshot::Leaves;

const REVISION: &str = ".labels.portico.dev/revision";
const VOLUME: &str = "portico.dev/model-volume";
const DOWNLOAD: &str = "Job/NAME-fetch-";

/// `leaves` with the revision that the spec leads to as TARGET, every other as OTHER, and no digest of a name.
pub fn by_words(leaves: Leaves) -> Leaves {
    let words = words(&leaves);
    if words.is_empty() {
        return leaves;
    }
    let said =
        |text: &str| words.iter().fold(text.to_owned(), |text, (digest, word)| text.replace(digest, word));
    let value = |value: Value| match value {
        Value::String(text) => Value::String(said(&text)),
        other => other,
    };
    leaves.into_iter().map(|(path, leaf)| (said(&path), value(leaf))).collect()
}

fn words(leaves: &Leaves) -> Vec<(String, &'static str)> {
    let at = |path: &str| leaves.get(path).and_then(Value::as_str).map(ToOwned::to_owned);
    let target = at("InferenceModel/NAME.status.target.revision")
        .or_else(|| at("InferenceModel/NAME.status.active.revision"));
    let mut all: Vec<_> = target.into_iter().map(|revision| (revision, "TARGET")).collect();
    let ends = |end: &'static str, word: &'static str| {
        let found = leaves.iter().filter(move |(path, _)| path.ends_with(end));
        found.filter_map(move |(_, value)| Some((value.as_str()?.to_owned(), word)))
    };
    all.extend(ends(REVISION, "OTHER"));
    all.extend(ends(VOLUME, "VOLUME"));
    let downloads = leaves.keys().filter_map(|path| path.strip_prefix(DOWNLOAD)?.split('.').next());
    all.extend(downloads.map(|digest| (digest.to_owned(), "DOWNLOAD")));
    all
}
