//! The tables of the kit itself.

use super::Migration;

/// Numbers 1 to 99.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "daily quotas",
        sql: "CREATE TABLE kit_quotas (
            name TEXT NOT NULL PRIMARY KEY, opened_at BIGINT NOT NULL, used BIGINT NOT NULL)",
    },
    Migration {
        version: 2,
        name: "audit log",
        sql: "CREATE TABLE kit_audit (
            id TEXT NOT NULL PRIMARY KEY, at BIGINT NOT NULL, event TEXT NOT NULL, subject_digest TEXT,
            session_digest TEXT, detail TEXT NOT NULL);
        CREATE INDEX kit_audit_at ON kit_audit (at);
        CREATE INDEX kit_audit_subject ON kit_audit (subject_digest, at)",
    },
    Migration {
        version: 20,
        name: "documents",
        sql: "CREATE TABLE kit_documents (
            user_id TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL,
            changed_at BIGINT NOT NULL, body {blob} NOT NULL, PRIMARY KEY (user_id, kind, id));
        CREATE INDEX kit_documents_age ON kit_documents (kind, changed_at)",
    },
];
