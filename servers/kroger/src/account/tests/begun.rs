//! Sign-ins that were begun: what their browsers keep of them, and for how long.

use serde_json::json;

use super::{Browser, On, World, eventually, location, world};

#[tokio::test]
async fn two_sign_ins_at_once_in_one_browser_both_end_well_and_one_that_is_over_does_not() {
    let world = world(On::Memory).await;
    let mut browser = Browser::default();
    let first = world.get(&mut browser, "/auth/login", &[]).await;
    let second = world.get(&mut browser, "/auth/login?return_to=/lists", &[]).await;
    let (first, second) = (world.consent(&first).await, world.consent(&second).await);
    assert_eq!(world.get(&mut browser, &second, &[]).await.status(), 303);
    assert_eq!(world.get(&mut browser, &first, &[]).await.status(), 200);
    assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), ["portico_session"], "those of sign-ins are gone");
    let old = old_login(&world, &mut browser).await;
    assert_eq!(world.get(&mut browser, &old, &[]).await.status(), 400);
    assert_eq!(world.count("SELECT COUNT(*) FROM kroger_sessions").await, 1);
}

/// Where Kroger sends a browser back to that has begun a sign-in a little more than ten minutes ago.
async fn old_login(world: &World, browser: &mut Browser) -> String {
    let began = portico_kit::store::now() - 600_001;
    let begun = json!({ "verifier": "v".repeat(43), "return_to": "", "user": "", "makes_session": true, "began": began });
    let settings = world.accounts.settings.clone().unwrap();
    let leaving = world.accounts.leave(&settings, &serde_json::from_value(begun).unwrap()).unwrap();
    browser.cookies.insert(format!("portico_login_{}", leaving.mark), leaving.kept);
    location(&world.http.get(leaving.address).send().await.unwrap())
}

#[tokio::test]
async fn however_many_sign_ins_are_begun_nothing_is_written_and_one_from_before_ends_well() {
    let world = world(On::File).await;
    let mut browser = Browser::default();
    let sent = world.get(&mut browser, "/auth/login", &[]).await;
    let back = world.consent(&sent).await;
    for _ in 0..50 {
        assert_eq!(world.get(&mut Browser::default(), "/auth/login", &[]).await.status(), 303);
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM kroger_used_links").await, 0);
    assert_eq!(world.get(&mut browser, &back, &[]).await.status(), 200);
}

#[tokio::test]
async fn a_browser_that_begins_again_and_again_keeps_few_cookies() {
    let world = world(On::Memory).await;
    let mut browser = Browser::default();
    for _ in 0..30 {
        world.get(&mut browser, "/auth/login", &[]).await;
        assert!(browser.cookies.len() <= 8, "{:?}", browser.cookies.keys());
    }
    assert_eq!(world.sign_in(&mut browser).await.status(), 200);
}

#[tokio::test]
async fn a_browser_that_goes_away_on_its_way_back_loses_no_sign_in() {
    let world = world(On::File).await;
    let mut browser = Browser::default();
    let sent = world.get(&mut browser, "/auth/login", &[]).await;
    let back = world.consent(&sent).await;
    world.fault(json!({"path": "/v1/connect/", "kind": "late", "milliseconds": 2_000, "times": 1})).await;
    let asked = world.asked().await;
    tokio::select! {
        _ = world.get(&mut browser, &back, &[]) => panic!("the answer was not late"),
        () = eventually("the code was never sent", async || world.asked().await > asked) => {}
    }
    let written = "SELECT COUNT(*) FROM kit_audit WHERE event = 'signed_in'";
    eventually("it was not written down", async || world.count(written).await == 1).await;
    assert_eq!(world.count("SELECT COUNT(*) FROM kroger_accounts").await, 1);
}
