//! The sessions of a browser and of its assistants, and what is out of reach without any.

use portico_kit::Caller;
use rstest::rstest;
use serde_json::Value;

use super::{Browser, On, world};

/// Each further chat asks for a session, and the browser has shown its own once.
#[tokio::test]
async fn whoever_is_signed_in_gets_a_session_for_an_assistant() {
    let world = world(On::Memory).await;
    let mut browser = Browser::default();
    assert_eq!(world.post(&mut browser, "/auth/session", &[]).await.status(), 401);
    world.sign_in(&mut browser).await;
    let own = browser.session().unwrap().clone();
    let page = world.get(&mut browser, "/auth/login", &[]).await.text().await.unwrap();
    assert!(page.contains("action=\"session\""), "{page}");
    let shown = world.post(&mut browser, "/auth/session", &[]).await.text().await.unwrap();
    let given = shown.split_once("<code>").unwrap().1.split_once("</code>").unwrap().0;
    assert_ne!(given, own);
    assert_eq!(browser.session(), Some(&own), "the browser keeps its own");
    let mut assistant = Browser::default();
    assistant.cookies.insert("portico_session".to_owned(), given.to_owned());
    assert_eq!(assistant.who(&world).await.user, browser.who(&world).await.user);
    let foreign = [("sec-fetch-site", "cross-site")];
    let refused = world.send(&mut browser, ("POST", "/auth/session"), &foreign, &[]).await;
    assert_eq!(refused.status(), 403);
    let asked = [("accept", "application/json"), ("sec-fetch-site", "same-origin")];
    let told: Value =
        world.send(&mut browser, ("POST", "/auth/session"), &asked, &[]).await.json().await.unwrap();
    assert!(told["session_id"].is_string() && told["expires_at"].is_string(), "{told}");
}

/// A session ends after 30 days without use, so a browser must not forget it while it is used.
#[tokio::test]
async fn a_browser_keeps_the_cookie_longer_than_any_session_lasts() {
    let world = world(On::Memory).await;
    let mut browser = Browser::default();
    world.sign_in(&mut browser).await;
    browser.attributes.clear();
    world.get(&mut browser, "/auth/login?return_to=/lists", &[]).await;
    assert!(browser.attributes["portico_session"].contains("Max-Age=34560000"), "{:?}", browser.attributes);
}

#[rstest]
#[tokio::test]
async fn users_of_browsers_alone_are_out_of_reach_without_a_session(
    #[values(On::Memory, On::Postgres)] on: On,
) {
    let world = world(on).await;
    let mut browsers = [Browser::default(), Browser::default()];
    for browser in &mut browsers {
        world.sign_in(browser).await;
    }
    let [mut gone, stays] = browsers;
    let user = gone.who(&world).await.user.unwrap();
    // Whom the gateway vouches for comes back without a session.
    let vouched = Caller { subject: Some("ada".into()), ..Caller::default() };
    let vouched = world.accounts.who_calls(&vouched).await.unwrap().user.unwrap();
    world.accounts.join(&vouched, "Firefox").await.unwrap();
    assert_eq!(world.accounts.unreachable().await.unwrap(), []);
    world.post(&mut gone, "/auth/logout", &[]).await;
    world.sql("DELETE FROM kroger_sessions WHERE device = 'Firefox'").await;
    assert_eq!(world.accounts.unreachable().await.unwrap(), std::slice::from_ref(&user));
    world.accounts.delete_user(&user).await.unwrap();
    assert_eq!(world.accounts.unreachable().await.unwrap(), std::slice::from_ref(&user));
    world.accounts.forget_browser_user(&user).await.unwrap();
    assert_eq!(world.accounts.unreachable().await.unwrap(), []);
    assert!(stays.who(&world).await.user.is_some());
}
