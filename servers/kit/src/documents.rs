//! What a user keeps, as sealed documents: lists, plans, preferences. One table for all kinds, so that export, deletion and the
//! rotation of keys need to know only it.
//!
//! A document is changed by compare-and-set on its version: of two devices that change it at once, one repeats its change on what
//! the other has made of it, and nothing is lost.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sqlx::Row as _;

use crate::{
    seal::Sealer,
    store::{self, Store, now},
    tool::ToolError,
};

/// Largest document before it is sealed, in bytes.
const MAX_BYTES: usize = 256 * 1024;
const UNREADABLE: &str = "what you keep here was sealed with a key that is not there; whoever runs this server may bring it back, \
     or you delete all that is kept of you and begin anew";
/// Longest id, in bytes.
const LONGEST_ID: usize = 64;
/// Changes that are tried again because others were faster.
const TRIES: u32 = 12;

/// A document and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Document<T> {
    /// Its id within its kind.
    pub id: String,
    /// Its content.
    pub body: T,
    /// When it was changed last, in milliseconds since 1970.
    pub changed_at: i64,
    version: i64,
}

/// A kind of document: how it is called, and how many of it one user may keep.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its name in the table and in an export.
    pub name: &'static str,
    /// Documents of one user.
    pub most: usize,
}

/// The documents of all users. Clones share everything.
#[derive(Clone)]
pub struct Documents {
    store: Store,
    sealer: Sealer,
}

impl Documents {
    /// Documents in `store`, sealed by `sealer`.
    #[must_use]
    pub fn new(store: Store, sealer: Sealer) -> Self {
        Self { store, sealer }
    }

    /// Whether documents outlive this process.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        self.store.is_lasting()
    }

    /// One document. [`ToolError::Refused`] where it is there and no key opens it. An id with control characters, or longer than 64 bytes, is nobody's.
    pub async fn get<T: DeserializeOwned>(
        &self,
        user: &str,
        kind: Kind,
        id: &str,
    ) -> Result<Option<Document<T>>, ToolError> {
        if !is_id(id) {
            return Ok(None);
        }
        let text = "SELECT id, version, changed_at, body FROM kit_documents WHERE user_id = $1 AND kind = $2 AND id = $3";
        let query = sqlx::query(text).bind(user).bind(kind.name).bind(id);
        let row = self.store.run("reading what you keep", query.fetch_optional(self.store.write())).await?;
        row.map(|row| self.document(user, kind, &row)).transpose()
    }

    /// All documents of a kind, the one changed last first.
    pub async fn all<T: DeserializeOwned>(
        &self,
        user: &str,
        kind: Kind,
    ) -> Result<Vec<Document<T>>, ToolError> {
        let text = "SELECT id, version, changed_at, body FROM kit_documents WHERE user_id = $1 AND kind = $2 \
                    ORDER BY changed_at DESC, id";
        let query = sqlx::query(text).bind(user).bind(kind.name);
        let rows = self.store.run("reading what you keep", query.fetch_all(self.store.write())).await?;
        rows.iter().map(|row| self.document(user, kind, row)).collect()
    }

    /// Changes a document, which is made by `Default` where there is none. `change` may run again, on what others have made of it
    /// meanwhile; what it answers the last time is answered.
    pub async fn change<T, R>(
        &self,
        user: &str,
        kind: Kind,
        id: &str,
        mut change: impl FnMut(&mut T) -> Result<R, ToolError>,
    ) -> Result<(T, R), ToolError>
    where
        T: Serialize + DeserializeOwned + Default,
    {
        if !is_id(id) {
            return Err(ToolError::NotFound("there is nothing with this id".to_owned()));
        }
        for tried in 0..TRIES {
            let found = self.get::<T>(user, kind, id).await?;
            let (mut body, version) =
                found.map_or_else(|| (T::default(), 0), |found| (found.body, found.version));
            let answer = change(&mut body)?;
            if self.put(user, kind, id, (&body, version)).await? {
                return Ok((body, answer));
            }
            let most = 5u64 << tried.min(6);
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..=most))).await;
        }
        Err(ToolError::Refused("others change the same at this moment; try again".to_owned()))
    }

    /// Writes a document that stands at `version` (0: not at all); says whether it still did.
    async fn put<T: Serialize>(
        &self,
        user: &str,
        kind: Kind,
        id: &str,
        (body, version): (&T, i64),
    ) -> Result<bool, ToolError> {
        let plain = serde_json::to_vec(body).map_err(|error| ToolError::Internal(error.to_string()))?;
        if plain.len() > MAX_BYTES {
            return Err(ToolError::Refused(format!(
                "this would be larger than {} KiB; remove something first",
                MAX_BYTES / 1024
            )));
        }
        let sealed = self.sealer.seal(&context(user, kind, id), &plain)?;
        let written = if version == 0 {
            self.check_room(user, kind, id).await?;
            let text = "INSERT INTO kit_documents (user_id, kind, id, version, changed_at, body) VALUES ($1, $2, $3, 1, $4, $5) \
                        ON CONFLICT DO NOTHING";
            let query = sqlx::query(text).bind(user).bind(kind.name).bind(id).bind(now()).bind(sealed);
            self.store.run("saving", query.execute(self.store.write())).await?
        } else {
            let text = "UPDATE kit_documents SET version = version + 1, changed_at = $4, body = $5 \
                        WHERE user_id = $1 AND kind = $2 AND id = $3 AND version = $6";
            let query =
                sqlx::query(text).bind(user).bind(kind.name).bind(id).bind(now()).bind(sealed).bind(version);
            self.store.run("saving", query.execute(self.store.write())).await?
        };
        Ok(written.rows_affected() == 1)
    }

    /// Refuses one more than there may be. A document that another device has made meanwhile is no further one.
    async fn check_room(&self, user: &str, kind: Kind, id: &str) -> Result<(), ToolError> {
        let text = "SELECT COUNT(*) FROM kit_documents WHERE user_id = $1 AND kind = $2 AND id <> $3";
        let query = sqlx::query_scalar(text).bind(user).bind(kind.name).bind(id);
        let counted = query.fetch_one(self.store.write());
        let count: i64 = self.store.run("counting what you keep", counted).await?;
        if usize::try_from(count).is_ok_and(|count| count < kind.most) {
            return Ok(());
        }
        Err(ToolError::Refused(format!("there are {count} already, which is the most; remove one first")))
    }

    /// Removes a document; says whether it was there.
    pub async fn remove(&self, user: &str, kind: Kind, id: &str) -> Result<bool, ToolError> {
        if !is_id(id) {
            return Ok(false);
        }
        let query = sqlx::query("DELETE FROM kit_documents WHERE user_id = $1 AND kind = $2 AND id = $3");
        let query = query.bind(user).bind(kind.name).bind(id);
        let gone = self.store.run("removing", query.execute(self.store.write())).await?;
        Ok(gone.rows_affected() > 0)
    }

    /// Removes the documents of a kind that nobody has changed since `before` (milliseconds since 1970); says how many.
    pub async fn forget(&self, kind: Kind, before: i64) -> Result<u64, store::Error> {
        let query = sqlx::query("DELETE FROM kit_documents WHERE kind = $1 AND changed_at < $2")
            .bind(kind.name)
            .bind(before);
        Ok(self.store.run("removing what is over", query.execute(self.store.write())).await?.rows_affected())
    }

    /// Seals again what an older key has sealed, so that the key can go without it; says how much that was. The cost is that of reading all
    /// documents once. Whoever changes one at the same moment seals it anyway.
    pub async fn seal_again(&self) -> Result<u64, ToolError> {
        let mut last = (String::new(), String::new(), String::new());
        let mut sealed = 0;
        loop {
            let text = "SELECT user_id, kind, id, version, body FROM kit_documents WHERE (user_id, kind, id) > ($1, $2, $3) \
                        ORDER BY user_id, kind, id LIMIT 100";
            let query = sqlx::query(text).bind(&last.0).bind(&last.1).bind(&last.2);
            let rows = self.store.run("reading documents", query.fetch_all(self.store.write())).await?;
            let Some(end) = rows.last() else { return Ok(sealed) };
            last = (column(end, "user_id")?, column(end, "kind")?, column(end, "id")?);
            for row in &rows {
                sealed += u64::from(self.seal_row_again(row).await?);
            }
        }
    }

    /// One that no key opens is left as it is, and told: its key may come back.
    async fn seal_row_again(&self, row: &sqlx::any::AnyRow) -> Result<bool, ToolError> {
        let (user, kind, id): (String, String, String) =
            (column(row, "user_id")?, column(row, "kind")?, column(row, "id")?);
        let context = format!("documents/{user}/{kind}/{id}");
        let opened = match self.sealer.open(&context, &column::<Vec<u8>>(row, "body")?) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::warn!(kind, %error, "a document cannot be opened with any key that is there");
                return Ok(false);
            }
        };
        if !opened.old {
            return Ok(false);
        }
        let body = self.sealer.seal(&context, &opened.plain)?;
        let text = "UPDATE kit_documents SET version = version + 1, body = $4 \
                    WHERE user_id = $1 AND kind = $2 AND id = $3 AND version = $5";
        let query = sqlx::query(text)
            .bind(&user)
            .bind(&kind)
            .bind(&id)
            .bind(body)
            .bind(column::<i64>(row, "version")?);
        let written = self.store.run("sealing documents again", query.execute(self.store.write())).await?;
        Ok(written.rows_affected() == 1)
    }

    /// Everything of a user, by kind.
    pub async fn export(&self, user: &str) -> Result<Value, ToolError> {
        let query = sqlx::query(
            "SELECT kind, id, changed_at, body FROM kit_documents WHERE user_id = $1 ORDER BY kind, id",
        )
        .bind(user);
        let rows = self.store.run("reading what you keep", query.fetch_all(self.store.write())).await?;
        let mut all = json!({});
        for row in rows {
            let (kind, id): (String, String) = (column(&row, "kind")?, column(&row, "id")?);
            let body: Result<Value, _> =
                self.opened(&format!("documents/{user}/{kind}/{id}"), &column::<Vec<u8>>(&row, "body")?);
            let content = body.unwrap_or_else(|error| json!({ "unreadable": error.to_string() }));
            if all[&kind].is_null() {
                all[&kind] = json!([]);
            }
            if let Some(list) = all[&kind].as_array_mut() {
                list.push(
                    json!({ "id": id, "changed_at": column::<i64>(&row, "changed_at")?, "content": content }),
                );
            }
        }
        Ok(all)
    }

    /// Removes everything of a user; says how many documents that were.
    pub async fn delete(&self, user: &str) -> Result<u64, store::Error> {
        let query = sqlx::query("DELETE FROM kit_documents WHERE user_id = $1").bind(user);
        Ok(self
            .store
            .run("deleting what a user keeps", query.execute(self.store.write()))
            .await?
            .rows_affected())
    }

    fn document<T: DeserializeOwned>(
        &self,
        user: &str,
        kind: Kind,
        row: &sqlx::any::AnyRow,
    ) -> Result<Document<T>, ToolError> {
        let id: String = column(row, "id")?;
        let body = self.opened(&context(user, kind, &id), &column::<Vec<u8>>(row, "body")?)?;
        Ok(Document { id, body, changed_at: column(row, "changed_at")?, version: column(row, "version")? })
    }

    fn opened<T: DeserializeOwned>(&self, context: &str, sealed: &[u8]) -> Result<T, ToolError> {
        let opened = self.sealer.open(context, sealed).map_err(|error| {
            tracing::error!(%error, "a document cannot be opened with any key that is there");
            ToolError::Refused(UNREADABLE.to_owned())
        })?;
        serde_json::from_slice(&opened.plain)
            .map_err(|error| ToolError::Internal(format!("a document cannot be read: {error}")))
    }
}

/// PostgreSQL takes no NUL in a text, and calls what is a caller's mistake a failure.
fn is_id(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && !id.chars().any(char::is_control)
}

/// What a sealed body is bound to: it opens at no other place.
fn context(user: &str, kind: Kind, id: &str) -> String {
    format!("documents/{user}/{}/{id}", kind.name)
}

fn column<'r, T: sqlx::Decode<'r, sqlx::Any> + sqlx::Type<sqlx::Any>>(
    row: &'r sqlx::any::AnyRow,
    name: &str,
) -> Result<T, ToolError> {
    row.try_get(name)
        .map_err(|error| ToolError::Internal(format!("a row has another form than expected: {error}")))
}
