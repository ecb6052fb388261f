//! The tables of users. `kroger_logins` is of an earlier version, whose replicas may still run beside this one: what a sign-in remembers is
//! in a cookie of its browser now.
//!
//! No bytes and an empty text stand for "none".

use portico_kit::store::Migration;

/// All of them. Numbers 100 to 109.
pub(crate) const MIGRATIONS: [Migration; 2] = [ACCOUNTS, BROWSER_USERS];

const ACCOUNTS: Migration = Migration {
    version: 100,
    name: "accounts",
    sql: "CREATE TABLE kroger_accounts (
            user_id TEXT NOT NULL PRIMARY KEY, tokens {blob} NOT NULL, renew_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL, renewed_at BIGINT NOT NULL, generation BIGINT NOT NULL,
            lease_id TEXT NOT NULL, lease_until BIGINT NOT NULL, sent BIGINT NOT NULL);
        CREATE TABLE kroger_sessions (
            session_digest TEXT NOT NULL PRIMARY KEY, user_id TEXT NOT NULL, device TEXT NOT NULL,
            created_at BIGINT NOT NULL, seen_at BIGINT NOT NULL, expires_at BIGINT NOT NULL);
        CREATE INDEX kroger_sessions_user ON kroger_sessions (user_id);
        CREATE INDEX kroger_sessions_end ON kroger_sessions (expires_at);
        CREATE TABLE kroger_logins (
            state_digest TEXT NOT NULL PRIMARY KEY, browser_digest TEXT NOT NULL, verifier {blob} NOT NULL,
            return_to TEXT NOT NULL, user_id TEXT NOT NULL, makes_session BIGINT NOT NULL, expires_at BIGINT NOT NULL);
        CREATE INDEX kroger_logins_end ON kroger_logins (expires_at);
        CREATE TABLE kroger_used_links (link_digest TEXT NOT NULL PRIMARY KEY, expires_at BIGINT NOT NULL)",
};

/// Users whom nobody but their browsers knows: without a session nobody reaches them again.
const BROWSER_USERS: Migration = Migration {
    version: 101,
    name: "users of browsers",
    sql: "CREATE TABLE kroger_browser_users (user_id TEXT NOT NULL PRIMARY KEY)",
};
