//! What was written, by whom: from the API server's audit log.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;

use crate::Error;

/// A place in the audit log: everything before it is of no interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditMark(u64);

/// One write that the API server answered, refused ones included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// On whose behalf: the impersonated user when there is one.
    pub user: String,
    /// The program, as its `User-Agent` says.
    pub user_agent: String,
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural name of the kind.
    pub resource: String,
    /// `status`, `scale` and so on; empty for the object itself.
    pub subresource: String,
    /// The object's namespace; empty for cluster-wide objects.
    pub namespace: String,
    /// The object's name; empty where the server chose it.
    pub name: String,
    /// The status code of the answer.
    pub code: u16,
    /// When the API server had answered, by its own clock.
    pub answered: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    user: User,
    impersonated_user: Option<User>,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: ResponseStatus,
    /// Of the one stage that is written down: the end of the answer.
    stage_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
}

impl From<Line> for AuditEvent {
    fn from(line: Line) -> Self {
        Self {
            user: line.impersonated_user.unwrap_or(line.user).username,
            user_agent: line.user_agent,
            verb: line.verb,
            group: line.object_ref.api_group,
            resource: line.object_ref.resource,
            subresource: line.object_ref.subresource,
            namespace: line.object_ref.namespace,
            name: line.object_ref.name,
            code: line.response_status.code,
            answered: line.stage_timestamp,
        }
    }
}

/// The log's present end.
pub(crate) fn mark(log: &Path) -> AuditMark {
    AuditMark(std::fs::metadata(log).map_or(0, |file| file.len()))
}

/// All writes after `mark`, in the order of their answers.
pub(crate) fn since(log: &Path, mark: AuditMark) -> Result<Vec<AuditEvent>, Error> {
    let mut file = File::open(log).map_err(Error::file("opening", log))?;
    let mut text = String::new();
    file.seek(SeekFrom::Start(mark.0)).map_err(Error::file("reading", log))?;
    file.read_to_string(&mut text).map_err(Error::file("reading", log))?;
    // A line still being written has no end yet.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let read = |line| serde_json::from_str::<Line>(line).map(AuditEvent::from);
    let malformed = |source| Error::Malformed { path: log.to_owned(), source };
    whole.lines().map(read).collect::<Result<_, _>>().map_err(malformed)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const LINE: &str = r#"{"verb":"patch","user":{"username":"admin"},"impersonatedUser":{"username":"system:serviceaccount:portico:operator"},"userAgent":"portico/1","objectRef":{"resource":"deployments","namespace":"shop","name":"files","apiGroup":"apps","subresource":"scale"},"responseStatus":{"code":200},"stageTimestamp":"2026-11-27T03:51:54.765980Z"}"#;

    #[test]
    fn only_whole_lines_after_the_mark_count_and_the_impersonated_user_is_the_writer() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        writeln!(log, "{LINE}").unwrap();
        let begin = mark(log.path());
        assert_eq!(since(log.path(), begin).unwrap(), []);
        write!(log, "{LINE}\n{}", &LINE[..30]).unwrap();
        let events = since(log.path(), begin).unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].user, "system:serviceaccount:portico:operator");
        assert_eq!((events[0].resource.as_str(), events[0].subresource.as_str()), ("deployments", "scale"));
        assert_eq!(events[0].answered.to_string(), "2026-11-27T03:51:54.76598Z");
    }

    #[test]
    fn a_log_that_is_none_is_refused_by_name() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        writeln!(log, "not json").unwrap();
        let error = since(log.path(), AuditMark(0)).unwrap_err().to_string();
        assert!(error.contains(&log.path().display().to_string()), "{error}");
    }
}
