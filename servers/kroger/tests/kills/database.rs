//! What the replicas' database holds.

use std::collections::BTreeMap;

use portico_kit::store::now;
use sqlx::{AnyPool, Row as _};

/// How long a lease lasts, in milliseconds.
const LEASE: i64 = 40_000;

/// The database, opened beside the replicas.
pub struct Database(AnyPool);

/// A lease that some process holds.
#[derive(Debug, Clone)]
pub struct Lease {
    pub user: String,
    id: String,
}

impl Database {
    pub async fn open(url: &str) -> Self {
        sqlx::any::install_default_drivers();
        Self(AnyPool::connect(url).await.unwrap())
    }

    pub async fn users(&self) -> Vec<String> {
        let rows = sqlx::query("SELECT user_id FROM kroger_accounts").fetch_all(&self.0).await.unwrap();
        rows.iter().map(|row| row.get("user_id")).collect()
    }

    /// Leases in force.
    pub async fn leases(&self) -> Vec<Lease> {
        let query = sqlx::query("SELECT user_id, lease_id FROM kroger_accounts WHERE lease_until > $1");
        let rows = query.bind(now()).fetch_all(&self.0).await.unwrap();
        rows.iter().map(|row| Lease { user: row.get("user_id"), id: row.get("lease_id") }).collect()
    }

    /// Lets the time of a lease pass, where its process has not given it back; says whether that was so.
    pub async fn let_pass(&self, lease: &Lease) -> bool {
        let query = sqlx::query(
            "UPDATE kroger_accounts SET lease_until = lease_until - $3 WHERE user_id = $1 AND lease_id = $2",
        );
        let passed = query.bind(&lease.user).bind(&lease.id).bind(LEASE).execute(&self.0).await.unwrap();
        passed.rows_affected() == 1
    }

    /// Calls of a group that are counted.
    pub async fn used(&self, quota: &str) -> u64 {
        let query = sqlx::query_scalar::<_, i64>("SELECT used FROM kit_quotas WHERE name = $1").bind(quota);
        u64::try_from(query.fetch_one(&self.0).await.unwrap()).unwrap()
    }

    /// Why sign-ins have ended, and how many for each reason.
    pub async fn ended_sign_ins(&self) -> BTreeMap<String, usize> {
        let query = sqlx::query("SELECT detail FROM kit_audit WHERE event = 'sign_in_ended'");
        let mut reasons = BTreeMap::new();
        for row in query.fetch_all(&self.0).await.unwrap() {
            *reasons.entry(row.get::<String, _>("detail")).or_default() += 1;
        }
        reasons
    }

    pub async fn close(self) {
        self.0.close().await;
    }
}
