//! What a person may ask of what is kept about them: all of it, and its deletion.

use std::sync::Arc;

use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{Cache, audit_log::AuditLog, audit_log::Who, digest, documents::Documents, tool::ToolError};

/// One place where something of users is kept.
pub trait Holdings: Send + Sync {
    /// Its name in an export and in the record of a deletion.
    fn name(&self) -> &'static str;

    /// All that is kept of `user`, for them to read.
    fn export<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<Value, ToolError>>;

    /// Removes all that is kept of `user` and says how many rows that were. Doing it twice is the same as once.
    fn delete<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<u64, ToolError>>;

    /// Called last, when everything of `user` is gone everywhere: forgets what a deletion that failed half-way is found by, to be tried
    /// again.
    fn forget<'a>(&'a self, _user: &'a str) -> BoxFuture<'a, Result<(), ToolError>> {
        Box::pin(async { Ok(()) })
    }
}

impl Holdings for Documents {
    fn name(&self) -> &'static str {
        "documents"
    }

    fn export<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<Value, ToolError>> {
        Box::pin(Self::export(self, user))
    }

    fn delete<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<u64, ToolError>> {
        Box::pin(async move { Ok(Self::delete(self, user).await?) })
    }
}

/// Everything that a server keeps of people.
#[derive(Clone)]
pub struct Person {
    cache: Cache,
    audit: AuditLog,
    holdings: Vec<Arc<dyn Holdings>>,
}

/// What a deletion removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Rows by holding, the audit log's entries last.
    pub rows: Vec<(&'static str, u64)>,
}

impl Person {
    /// People of whom something is kept in `holdings`, in `cache` under [`cache_prefix`], and in the audit log.
    #[must_use]
    pub fn new(cache: Cache, audit: AuditLog, holdings: Vec<Arc<dyn Holdings>>) -> Self {
        Self { cache, audit, holdings }
    }

    /// All that is kept of `user`. That it was asked for is written down.
    pub async fn export(&self, user: &str) -> Result<Value, ToolError> {
        let mut all = Map::new();
        for holding in &self.holdings {
            all.insert(holding.name().to_owned(), holding.export(user).await?);
        }
        all.insert(self.audit.name().to_owned(), self.audit.export(user).await?);
        self.audit.note("data_exported", &Who::user(user), &[]).await?;
        Ok(json!({ "exported_at": Timestamp::now(), "holdings": all }))
    }

    /// Removes all that is kept of `user`, but for the record that this was done.
    ///
    /// A holding that fails keeps none of the others from being emptied. Then there is an error and no record, and it can be asked for
    /// again.
    pub async fn delete(&self, user: &str) -> Result<Deletion, ToolError> {
        let (mut rows, mut failed) = (Vec::new(), Vec::new());
        for holding in &self.holdings {
            match holding.delete(user).await {
                Ok(count) => rows.push((holding.name(), count)),
                Err(error) => failed.push(format!("{}: {error}", holding.name())),
            }
        }
        self.cache.remove_all(&cache_prefix(user)).await;
        if !failed.is_empty() {
            let problem =
                format!("not everything could be deleted ({}); ask for it again", failed.join("; "));
            return Err(ToolError::Internal(problem));
        }
        let counts: Vec<(&str, String)> =
            rows.iter().map(|(name, count)| (*name, count.to_string())).collect();
        let detail: Vec<(&str, &str)> = counts.iter().map(|(name, count)| (*name, count.as_str())).collect();
        rows.push((self.audit.name(), self.audit.delete_and_note(user, &detail).await?));
        for holding in &self.holdings {
            holding.forget(user).await?;
        }
        Ok(Deletion { rows })
    }
}

/// What keys of the cache begin with that hold something of `user`. It does not show who that is.
#[must_use]
pub fn cache_prefix(user: &str) -> String {
    format!("users/{}/", digest::hex(format!("portico cache user\0{user}").as_bytes()))
}
