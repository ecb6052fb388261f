//! Tokens: renewed in time, once, and never in a loop.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::future::join_all;
use portico_kit::{
    Secret,
    seal::Sealer,
    store::now,
    tool::ToolError,
    upstream::{Call, Class},
};
use rstest::rstest;
use serde_json::json;

use super::{On, PATIENCE, User, Who, World, accounts, eventually, settings, world};
use crate::account::{Accounts, tokens::Renewal};

const DUE: &str = "UPDATE kroger_accounts SET renew_at = 0";
const OVER: &str = "UPDATE kroger_accounts SET renew_at = 0, expires_at = 0";
const LEASE_OVER: &str = "UPDATE kroger_accounts SET lease_until = 1";

async fn token(world: &World, user: &User) -> Option<String> {
    let token = world.accounts.good_token(user).await.unwrap();
    token.map(|token| token.expose().to_owned())
}

/// Asks for the customer's id, as a tool would.
async fn profile(world: &World, user: &User) -> Result<(), ToolError> {
    let who = Who { user: Some(user.clone()), sign_in_url: Some("http://sign.in/".to_owned()) };
    let token = world.accounts.token(&who, "to see a profile").await?;
    let ask = |token: Secret| async {
        world.accounts.client.send(&Call::get("/v1/identity/profile").bearer(token)).await.map(drop)
    };
    world.accounts.retry_refused(&who, token, ask).await
}

#[rstest]
#[tokio::test]
async fn however_many_wait_in_two_processes_a_token_is_renewed_once(
    #[values(On::Memory, On::File, On::Postgres)] on: On,
) {
    let world = world(on).await;
    let user = world.user().await;
    let (old, asked) = (token(&world, &user).await, world.asked().await);
    world.sql(OVER).await;
    let both = [&world.accounts, &world.replica];
    let found = join_all((0..8).map(|n| both[n % 2].good_token(&user))).await;
    let found: Vec<String> =
        found.into_iter().map(|token| token.unwrap().unwrap().expose().to_owned()).collect();
    assert!(found.iter().all(|token| *token == found[0] && Some(token) != old.as_ref()), "{found:?}");
    assert_eq!(world.asked().await, asked + 1);
    assert!(profile(&world, &user).await.is_ok());
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_a_fresh_one_is_left_alone() {
    let world = world(On::Memory).await;
    let user = world.user().await;
    let first = token(&world, &user).await;
    assert_eq!(token(&world, &user).await, first);
    world.sql(DUE).await;
    assert_ne!(token(&world, &user).await, first);
}

#[rstest]
#[case::down(json!({"kind": "status", "status": 503, "form": "html"}))]
#[case::limited(json!({"kind": "rate_limit", "retry_after": 600}))]
#[tokio::test]
async fn a_token_that_is_still_good_serves_on_when_it_cannot_be_renewed(
    #[case] mut fault: serde_json::Value,
) {
    let world = world(On::Memory).await;
    let user = world.user().await;
    let first = token(&world, &user).await;
    world.sql(DUE).await;
    fault["path"] = json!("/v1/connect/");
    world.fault(fault).await;
    assert_eq!(token(&world, &user).await, first);
    world.at_standin("DELETE", "faults", json!({})).await;
    assert_ne!(token(&world, &user).await, first, "it was not renewed when that was possible again");
}

#[rstest]
#[tokio::test]
async fn a_renewal_whose_answer_is_lost_is_tried_once_more_and_then_means_signing_in_again(
    #[values(On::File, On::Postgres)] on: On,
) {
    let world = world(on).await;
    let user = world.user().await;
    world.sql(OVER).await;
    world.set(json!({"drop_refreshes": 1})).await;
    let asked = world.asked().await;
    let lost = world.accounts.good_token(&user).await.unwrap_err();
    assert!(matches!(lost, ToolError::Upstream(error) if error.class() == Class::Server));
    assert_eq!(world.count("SELECT sent FROM kroger_accounts").await, 1);
    // Another process finds the mark.
    assert!(world.replica.good_token(&user).await.unwrap().is_none());
    assert_eq!(world.asked().await, asked + 2);
    for _ in 0..5 {
        assert!(token(&world, &user).await.is_none());
    }
    assert_eq!(world.asked().await, asked + 2, "a token that was refused was sent again");
    let noted = "SELECT COUNT(*) FROM kit_audit WHERE event = 'sign_in_ended'";
    assert_eq!(world.count(noted).await, 1);
}

#[rstest]
#[tokio::test]
async fn what_a_process_left_that_died_before_it_sent_the_token_is_done_by_the_next(
    #[values(On::File, On::Postgres)] on: On,
) {
    let world = world(on).await;
    let user = world.user().await;
    world.sql(OVER).await;
    let held = world.accounts.held(&user).await.unwrap().unwrap();
    assert!(world.accounts.take_lease(&user, held.generation, "dead").await.unwrap());
    world.sql(LEASE_OVER).await;
    assert!(world.replica.good_token(&user).await.unwrap().is_some());
    assert_eq!(world.count("SELECT sent FROM kroger_accounts").await, 0);
    assert!(profile(&world, &user).await.is_ok());
}

#[rstest]
#[tokio::test]
async fn what_a_process_left_that_died_before_it_saved_means_signing_in_again(
    #[values(On::File, On::Postgres)] on: On,
) {
    let world = world(on).await;
    let user = world.user().await;
    world.sql(OVER).await;
    let settings = world.accounts.settings.clone().unwrap();
    let held = world.accounts.held(&user).await.unwrap().unwrap();
    assert!(world.accounts.take_lease(&user, held.generation, "dead").await.unwrap());
    drop(world.accounts.refresh(&settings, &held.refresh).await.unwrap());
    world.sql(LEASE_OVER).await;
    let asked = world.asked().await;
    assert!(world.replica.good_token(&user).await.unwrap().is_none());
    // Who has read the old pair before it was ended must not send it again.
    assert!(!world.accounts.take_lease(&user, held.generation, "late").await.unwrap());
    assert!(world.replica.good_token(&user).await.unwrap().is_none());
    assert_eq!(world.asked().await, asked + 1);
}

#[tokio::test]
async fn a_lease_that_a_clock_ahead_has_written_holds_nobody_up() {
    let world = world(On::File).await;
    let user = world.user().await;
    world.sql(OVER).await;
    world.sql("UPDATE kroger_accounts SET lease_id = 'ahead', lease_until = renewed_at + 3600000").await;
    let token = tokio::time::timeout(PATIENCE, world.accounts.good_token(&user)).await;
    assert!(token.unwrap().unwrap().is_some());
}

#[tokio::test]
async fn whoever_finds_another_renewing_waits_for_its_result() {
    let world = world(On::File).await;
    let user = world.user().await;
    world.sql(OVER).await;
    let held = world.accounts.held(&user).await.unwrap().unwrap();
    assert!(world.accounts.take_lease(&user, held.generation, "first").await.unwrap());
    let asked = world.asked().await;
    let renewing = async {
        // The other process has looked, and not got the lease.
        assert!(!world.replica.take_lease(&user, held.generation, "second").await.unwrap());
        let renewed = world.accounts.renew_leased(&user, &held, "first").await.unwrap();
        assert!(matches!(renewed, Renewal::New(_)));
    };
    let waiting = tokio::time::timeout(PATIENCE, world.replica.good_token(&user));
    let (waited, ()) = tokio::join!(waiting, renewing);
    let waited = waited.unwrap().unwrap().unwrap().expose().to_owned();
    assert_eq!(Some(waited), token(&world, &user).await);
    assert_eq!(world.asked().await, asked + 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_loses_no_token() {
    let world = world(On::File).await;
    let user = world.user().await;
    world.sql(OVER).await;
    let before = world.accounts.held(&user).await.unwrap().unwrap().generation;
    let fault = json!({"path": "/v1/connect/", "kind": "late", "milliseconds": 2_000, "times": 1});
    world.fault(fault).await;
    let asked = world.asked().await;
    tokio::select! {
        _ = world.accounts.good_token(&user) => panic!("the answer was not late"),
        () = eventually("the token was never sent", async || world.asked().await > asked) => {}
    }
    let saved = async || world.count("SELECT generation FROM kroger_accounts").await > before;
    eventually("what Kroger gave was not saved", saved).await;
    assert!(profile(&world, &user).await.is_ok());
}

#[tokio::test]
async fn a_pair_that_comes_after_a_refusal_still_counts() {
    let world = world(On::File).await;
    let user = world.user().await;
    let settings = world.accounts.settings.clone().unwrap();
    let held = world.accounts.held(&user).await.unwrap().unwrap();
    // Two processes hold the lease by turns, as with clocks that differ; the slower one has the good answer.
    let granted = world.accounts.refresh(&settings, &held.refresh).await.unwrap();
    assert!(world.replica.take_lease(&user, held.generation, "fast").await.unwrap());
    let refused = world.replica.renew_leased(&user, &held, "fast").await.unwrap();
    assert!(matches!(refused, Renewal::Again));
    assert!(token(&world, &user).await.is_none());
    world.accounts.save(&user, &held, &granted).await.unwrap();
    assert!(profile(&world, &user).await.is_ok());
}

#[tokio::test]
async fn a_sign_in_during_a_renewal_is_not_overwritten() {
    let world = world(On::File).await;
    let user = world.user().await;
    let settings = world.accounts.settings.clone().unwrap();
    let held = world.accounts.held(&user).await.unwrap().unwrap();
    let granted = world.accounts.refresh(&settings, &held.refresh).await.unwrap();
    world.sql("UPDATE kroger_accounts SET generation = generation + 1").await;
    let saved = world.accounts.save(&user, &held, &granted).await.unwrap();
    assert!(matches!(saved, Renewal::Again));
    assert_eq!(token(&world, &user).await.as_deref(), Some(held.access.expose()));
}

#[tokio::test]
async fn a_token_that_ended_early_is_renewed_once_and_the_call_made_again() {
    let world = world(On::Memory).await;
    let user = world.user().await;
    world.at_standin("POST", "tokens/expire?customer=ada", json!({})).await;
    let asked = world.asked().await;
    profile(&world, &user).await.unwrap();
    assert_eq!(world.asked().await, asked + 1);
}

#[tokio::test]
async fn a_permission_that_was_taken_back_means_signing_in_again() {
    let world = world(On::Memory).await;
    let user = world.user().await;
    world.at_standin("POST", "tokens/revoke?customer=ada", json!({})).await;
    let asked = world.asked().await;
    for _ in 0..3 {
        let error = profile(&world, &user).await.unwrap_err();
        assert!(matches!(&error, ToolError::SignIn { url: Some(_), .. }), "{error}");
    }
    assert_eq!(world.asked().await, asked + 1);
}

#[tokio::test]
async fn a_new_token_that_is_refused_too_means_signing_in_again_and_no_third_try() {
    let world = world(On::Memory).await;
    let user = world.user().await;
    world.fault(json!({"path": "/v1/identity/", "kind": "status", "status": 401, "form": "gateway"})).await;
    let error = profile(&world, &user).await.unwrap_err();
    assert!(matches!(error, ToolError::SignIn { .. }), "{error}");
    let requests = world.at_standin("GET", "requests", json!({})).await;
    assert_eq!(requests["GET /v1/identity/profile"], 2);
}

#[tokio::test]
async fn our_own_credentials_being_refused_ends_nobodys_sign_in() {
    let world = world(On::Memory).await;
    let user = world.user().await;
    world.sql(OVER).await;
    world
        .fault(json!({"path": "/v1/connect/", "kind": "status", "status": 401, "form": "json", "times": 1}))
        .await;
    let error = world.accounts.good_token(&user).await.unwrap_err();
    assert!(matches!(error, ToolError::Upstream(error) if error.class() == Class::Authentication));
    assert!(token(&world, &user).await.is_some());
}

#[tokio::test]
async fn tokens_are_sealed_and_with_other_keys_one_signs_in_again() {
    let world = world(On::File).await;
    let user = world.user().await;
    let access = token(&world, &user).await.unwrap();
    let kept: Vec<u8> = sqlx::query_scalar("SELECT tokens FROM kroger_accounts")
        .fetch_one(world.store.write())
        .await
        .unwrap();
    assert!(!kept.windows(access.len()).any(|part| part == access.as_bytes()));
    let base = format!("http://{}", world.standin);
    let settings = settings(&base, "http://127.0.0.1:9/auth/callback");
    let others = accounts(&settings, &base, &world.store, &Sealer::ephemeral().unwrap());
    assert!(others.good_token(&user).await.unwrap().is_none());
}

/// The keys `ids`, the last of which is the newest.
fn keys(folder: &std::path::Path, ids: &[u8]) -> Sealer {
    let key = |id: &u8| {
        json!({
            "id": format!("key{id}"), "key": STANDARD.encode([*id; 32]),
            "created": "2026-01-01T00:00:00Z", "usableFrom": format!("2026-01-0{id}T00:00:00Z"),
        })
    };
    let path = folder.join(format!("keys-{}.json", ids.len()));
    std::fs::write(&path, json!({ "keys": ids.iter().map(key).collect::<Vec<_>>() }).to_string()).unwrap();
    Sealer::from_file(&path).unwrap()
}

#[rstest]
#[tokio::test]
async fn what_an_old_key_sealed_is_sealed_again_with_the_newest_and_needs_the_old_one_no_more(
    #[values(On::Memory, On::Postgres)] on: On,
) {
    let world = world(on).await;
    let user = world.user().await;
    let folder = tempfile::tempdir().unwrap();
    let (old, both) = (keys(folder.path(), &[1]), keys(folder.path(), &[1, 2]));
    let held = world.accounts.held(&user).await.unwrap().unwrap();
    let with = |sealer: &Sealer| Accounts { sealer: sealer.clone(), ..world.accounts.clone() };
    let pair = json!({"access": held.access.expose(), "refresh": held.refresh.expose()}).to_string();
    let context = format!("kroger_accounts.tokens/{}", user.id);
    let sealed = old.seal(&context, pair.as_bytes()).unwrap();
    let query = sqlx::query("UPDATE kroger_accounts SET tokens = $1").bind(sealed);
    query.execute(world.store.write()).await.unwrap();
    world.sql("INSERT INTO kroger_accounts SELECT 'ended', substr(tokens, 1, 0), 0, 0, 0, 1, '', 0, 0 FROM kroger_accounts").await;

    assert_eq!(with(&both).seal_again().await.unwrap(), 1);
    assert_eq!(with(&both).seal_again().await.unwrap(), 0, "it was sealed with the newest key already");
    assert!(with(&old).held(&user).await.unwrap().is_none(), "the old key opens it still");
    let now_held = with(&both).held(&user).await.unwrap().unwrap();
    assert_eq!(now_held.generation, held.generation);
    assert_eq!(now_held.refresh.expose(), held.refresh.expose());
}

#[tokio::test]
async fn a_life_that_kroger_tells_wrongly_does_no_harm() {
    let world = world(On::Memory).await;
    world.set(json!({"claimed_seconds": 31_536_000})).await;
    let user = world.user().await;
    let ends = world.count("SELECT expires_at FROM kroger_accounts").await;
    assert!(ends <= now() + 7 * 24 * 3_600_000, "a year was believed");
    world.at_standin("POST", "tokens/expire", json!({})).await;
    profile(&world, &user).await.unwrap();
}
