//! What goes on when everything of a user is deleted meanwhile.

use std::sync::Arc;

use futures::future::BoxFuture;
use portico_kit::{Cache, Metrics, Person, person::Holdings, tool::ToolError};
use rstest::rstest;
use serde_json::Value;

use super::{
    Browser, On, World,
    sign_in::{begun_by_link, follow, subject},
    world,
};
use crate::account::tokens::Renewal;

fn person(world: &World, mut more: Vec<Arc<dyn Holdings>>) -> Person {
    more.push(Arc::new(world.accounts.clone()));
    Person::new(Cache::memory(1, &Metrics::default()), world.accounts.audit.clone(), more)
}

/// A database that is away for a moment.
struct Away;

impl Holdings for Away {
    fn name(&self) -> &'static str {
        "documents"
    }

    fn export<'a>(&'a self, _user: &'a str) -> BoxFuture<'a, Result<Value, ToolError>> {
        Box::pin(async { Ok(Value::Null) })
    }

    fn delete<'a>(&'a self, _user: &'a str) -> BoxFuture<'a, Result<u64, ToolError>> {
        Box::pin(async { Err(ToolError::Internal("away".to_owned())) })
    }
}

#[rstest]
#[tokio::test]
async fn whose_deletion_failed_half_way_is_found_again(#[values(On::Memory, On::Postgres)] on: On) {
    let world = world(on).await;
    let mut browser = Browser::default();
    world.sign_in(&mut browser).await;
    let user = browser.who(&world).await.user.unwrap();
    assert!(person(&world, vec![Arc::new(Away)]).delete(&user.id).await.is_err());
    assert_eq!(browser.who(&world).await.user, None, "the sessions are over at once");
    assert_eq!(world.accounts.unreachable().await.unwrap(), std::slice::from_ref(&user));
    person(&world, Vec::new()).delete(&user.id).await.unwrap();
    assert_eq!(world.accounts.unreachable().await.unwrap(), []);
}

#[rstest]
#[tokio::test]
async fn a_link_from_before_a_deletion_leads_nowhere(#[values(On::Memory, On::Postgres)] on: On) {
    let world = world(on).await;
    let mut browser = Browser::default();
    world.sign_in(&mut browser).await;
    let who = browser.who(&world).await;
    let link: Value = world.post(&mut browser, "/auth/link", &[]).await.json().await.unwrap();
    let user = who.user.clone().unwrap();
    assert!(world.accounts.is_of_browsers(&user).await.unwrap());
    person(&world, Vec::new()).delete(&user.id).await.unwrap();
    for url in [link["login_url"].as_str().unwrap(), who.sign_in_url.as_deref().unwrap()] {
        assert_eq!(world.get(&mut Browser::default(), url, &[]).await.status(), 400, "{url}");
        assert_eq!(follow(&world, &mut Browser::default(), url).await.status(), 400, "{url}");
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM kroger_sessions").await, 0);
}

#[tokio::test]
async fn a_sign_in_that_was_on_its_way_brings_nobody_back() {
    let world = world(On::File).await;
    let mut browser = Browser::default();
    world.sign_in(&mut browser).await;
    let user = browser.who(&world).await.user.unwrap();
    let again = world.get(&mut browser, "/auth/login?again=true", &[]).await;
    let back = world.consent(&again).await;
    person(&world, Vec::new()).delete(&user.id).await.unwrap();
    assert_eq!(world.get(&mut browser, &back, &[]).await.status(), 400);
    assert_eq!(world.count("SELECT COUNT(*) FROM kroger_accounts").await, 0);
    assert_eq!(world.count("SELECT COUNT(*) FROM kroger_sessions").await, 0);
}

#[tokio::test]
async fn whom_the_gateway_vouches_for_links_an_account_anew_after_a_deletion() {
    let world = world(On::File).await;
    let (mut browser, back) = begun_by_link(&world).await;
    world.get(&mut browser, &back, &[]).await;
    let ada = world.accounts.who_calls(&subject("ada@example.com")).await.unwrap().user.unwrap();
    assert!(!world.accounts.is_of_browsers(&ada).await.unwrap());
    person(&world, Vec::new()).delete(&ada.id).await.unwrap();
    let again = world.accounts.who(Some(ada.clone())).unwrap().sign_in_url.unwrap();
    let mut browser = Browser::default();
    let sent = follow(&world, &mut browser, &again).await;
    let back = world.consent(&sent).await;
    assert_eq!(world.get(&mut browser, &back, &[]).await.status(), 200);
    assert!(world.accounts.is_linked(&ada).await.unwrap());
}

#[tokio::test]
async fn a_renewal_from_before_a_deletion_is_not_saved_over_a_new_sign_in() {
    let world = world(On::File).await;
    let ada = world.accounts.who_calls(&subject("ada@example.com")).await.unwrap().user.unwrap();
    let (mut browser, back) = begun_by_link(&world).await;
    world.get(&mut browser, &back, &[]).await;
    let held = world.accounts.held(&ada).await.unwrap().unwrap();
    let settings = world.accounts.settings.clone().unwrap();
    let granted = world.accounts.refresh(&settings, &held.refresh).await.unwrap();
    person(&world, Vec::new()).delete(&ada.id).await.unwrap();
    let (mut browser, back) = begun_by_link(&world).await;
    assert_eq!(world.get(&mut browser, &back, &[]).await.status(), 200);
    let now_held = world.accounts.held(&ada).await.unwrap().unwrap();
    assert!(matches!(world.accounts.save(&ada, &held, &granted).await.unwrap(), Renewal::Again));
    let still_held = world.accounts.held(&ada).await.unwrap().unwrap();
    assert_eq!(still_held.access.expose(), now_held.access.expose());
}
