//! The paths of the sign-in, as a browser goes them.

use portico_kit::{Caller, person::Holdings as _, tool::ToolError};
use rstest::rstest;
use serde_json::{Value, json};

use super::{Browser, On, World, accounts, location, settings, world};
use crate::account::Link;

const JSON: (&str, &str) = ("accept", "application/json");

async fn text(response: reqwest::Response) -> String {
    response.text().await.unwrap()
}

pub(super) fn subject(name: &str) -> Caller {
    Caller { subject: Some(name.into()), ..Caller::default() }
}

/// Follows a link as a person does who clicks the button.
pub(super) async fn follow(world: &World, browser: &mut Browser, url: &str) -> reqwest::Response {
    let code = url.split_once("link=").unwrap().1;
    world.post(browser, "/auth/login", &[("link", code)]).await
}

#[rstest]
#[tokio::test]
async fn a_sign_in_makes_a_session_that_its_cookie_carries(
    #[values(On::Memory, On::File, On::Postgres)] on: On,
) {
    let world = world(on).await;
    let mut browser = Browser::default();
    let sent = world.get(&mut browser, "/auth/login", &[]).await;
    let address = location(&sent);
    for part in ["response_type=code", "client_id=standin-client", "code_challenge_method=S256", "state="] {
        assert!(address.contains(part), "{address}");
    }
    let back = world.consent(&sent).await;
    let page = world.get(&mut browser, &back, &[]).await;
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["cache-control"], "no-store");
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    let session = browser.session().unwrap().clone();
    assert_eq!(session.len(), 43);
    assert!(!text(page).await.contains("<script"));
    assert_eq!(browser.attributes["portico_session"], "Path=/; HttpOnly; SameSite=Lax; Max-Age=34560000");
    let who = browser.who(&world).await;
    assert_eq!(world.accounts.state(who.user.as_ref().unwrap()).await.unwrap(), (Link::Linked, 1));
    let kept = sqlx::query_scalar::<_, String>("SELECT session_digest FROM kroger_sessions");
    assert_ne!(kept.fetch_one(world.store.write()).await.unwrap(), session);
}

#[tokio::test]
async fn a_program_gets_its_session_as_json() {
    let world = world(On::Memory).await;
    let mut browser = Browser::default();
    let sent = world.get(&mut browser, "/auth/login", &[]).await;
    let back = world.consent(&sent).await;
    let answer: Value = world.get(&mut browser, &back, &[JSON]).await.json().await.unwrap();
    assert_eq!(answer["session_id"].as_str(), browser.session().map(String::as_str));
    assert!(answer["expires_at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
}

#[tokio::test]
async fn over_tls_the_cookies_are_bound_to_host_and_tls() {
    let world = world(On::Memory).await;
    let base = format!("http://{}", world.standin);
    let settings = settings(&base, "https://shop.example/auth/callback");
    let sealer = portico_kit::seal::Sealer::ephemeral().unwrap();
    let accounts = accounts(&settings, &base, &world.store, &sealer);
    assert_eq!(accounts.cookie(), Some("__Host-portico_session"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, accounts.routes()).await });
    let sent = world.http.get(format!("http://{address}/auth/login")).send().await.unwrap();
    let cookie = sent.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-portico_login_") && cookie.ends_with("; Secure"), "{cookie}");
    serving.abort();
}

#[tokio::test]
async fn a_state_is_good_once_and_in_the_browser_that_began_alone() {
    let world = world(On::Memory).await;
    let mut browser = Browser::default();
    let sent = world.get(&mut browser, "/auth/login", &[]).await;
    let back = world.consent(&sent).await;
    let mut other = Browser::default();
    world.get(&mut other, "/auth/login", &[]).await;
    for thief in [&mut Browser::default(), &mut other] {
        let refused = world.get(thief, &back, &[]).await;
        assert_eq!(refused.status(), 400);
        assert!(thief.session().is_none());
    }
    assert_eq!(world.get(&mut browser, &back, &[]).await.status(), 200);
    assert_eq!(world.get(&mut browser, &back, &[]).await.status(), 400);
}

#[tokio::test]
async fn a_customer_who_refuses_leaves_nothing_behind() {
    let world = world(On::Memory).await;
    world.set(json!({"deny": true})).await;
    let mut browser = Browser::default();
    let refused = world.sign_in(&mut browser).await;
    assert_eq!(refused.status(), 403);
    assert!(text(refused).await.contains("did not allow") && browser.session().is_none());
    assert!(browser.cookies.is_empty(), "nothing is left of it in the browser: {:?}", browser.cookies.keys());
    // As Kroger's pages show it: without the question mark.
    let glued = "/auth/callbackerror=access_denied&error_description=no";
    assert_eq!(world.get(&mut browser, glued, &[]).await.status(), 403);
    let strange = "/auth/callback?error=%3Cscript%3E";
    assert!(!text(world.get(&mut browser, strange, &[]).await).await.contains("<script"));
    assert_eq!(world.count("SELECT COUNT(*) FROM kroger_accounts").await, 0);
}

#[rstest]
#[case("/lists?week=1", Some("/lists?week=1"))]
#[case("https://evil.example/", None)]
#[case("//evil.example/", None)]
#[tokio::test]
async fn one_goes_on_to_a_path_of_this_host(#[case] asked: &str, #[case] goes: Option<&str>) {
    let world = world(On::Memory).await;
    let mut browser = Browser::default();
    let login = reqwest::Url::parse_with_params("http://x/auth/login", [("return_to", asked)]).unwrap();
    let login = format!("/auth/login?{}", login.query().unwrap());
    let sent = world.get(&mut browser, &login, &[]).await;
    let back = world.consent(&sent).await;
    let answer = world.get(&mut browser, &back, &[]).await;
    let went = answer.headers().get("location").map(|location| location.to_str().unwrap());
    assert_eq!(went, goes);
}

#[tokio::test]
async fn a_further_device_joins_by_a_link_that_works_once_and_both_stay_in_step() {
    let world = world(On::File).await;
    let (mut phone, mut desk) = (Browser::default(), Browser::default());
    world.sign_in(&mut phone).await;
    let link: Value = world.post(&mut phone, "/auth/link", &[]).await.json().await.unwrap();
    let url = link["login_url"].as_str().unwrap();
    let asks = world.get(&mut desk, url, &[]).await;
    assert!(text(asks).await.contains("Go on only if that was you"));
    assert!(desk.session().is_none(), "looking at a link is not following it");
    assert_eq!(follow(&world, &mut desk, url).await.status(), 200);
    let (one, other) = (phone.who(&world).await, desk.who(&world).await);
    assert_eq!(one.user, other.user);
    assert_ne!(phone.session(), desk.session());
    let token = async |who| world.accounts.token(who, "to test").await.unwrap().expose().to_owned();
    assert_eq!(token(&one).await, token(&other).await);
    world.sql("UPDATE kroger_accounts SET expires_at = 0, renew_at = 0").await;
    assert_eq!(token(&other).await, token(&one).await);
    let mut third = Browser::default();
    assert_eq!(follow(&world, &mut third, url).await.status(), 400);
    let other_page = [("sec-fetch-site", "cross-site")];
    let foreign = world.send(&mut phone, ("POST", "/auth/link"), &other_page, &[]).await;
    assert_eq!(foreign.status(), 403);
}

#[tokio::test]
async fn a_link_that_was_changed_or_is_over_leads_nowhere() {
    let world = world(On::Memory).await;
    let mut browser = Browser::default();
    world.sign_in(&mut browser).await;
    let link: Value = world.post(&mut browser, "/auth/link", &[]).await.json().await.unwrap();
    let url = link["login_url"].as_str().unwrap();
    for bad in [format!("{url}A"), url.replace("link=", "link=A"), format!("{}x", &url[..url.len() - 1])] {
        assert_eq!(follow(&world, &mut Browser::default(), &bad).await.status(), 400, "{bad}");
    }
}

#[tokio::test]
async fn whom_the_gateway_vouches_for_signs_in_by_a_link_that_gives_the_browser_nothing() {
    let world = world(On::File).await;
    let ada = world.accounts.who_calls(&subject("ada@example.com")).await.unwrap();
    let refused = world.accounts.token(&ada, "to add to a cart").await.unwrap_err();
    let ToolError::SignIn { url: Some(url), .. } = &refused else { panic!("{refused}") };
    let mut browser = Browser::default();
    let sent = follow(&world, &mut browser, url).await;
    let back = world.consent(&sent).await;
    assert_eq!(world.get(&mut browser, &back, &[]).await.status(), 200);
    assert!(browser.session().is_none(), "a link out of an answer opened what the user keeps");
    assert!(world.replica.token(&ada, "to add to a cart").await.is_ok());
    let grace = world.accounts.who_calls(&subject("grace@example.com")).await.unwrap();
    assert!(world.accounts.token(&grace, "to add to a cart").await.is_err());

    // Another link changes no account that is linked.
    let again = world.accounts.who_calls(&subject("ada@example.com")).await.unwrap().sign_in_url.unwrap();
    let mut thief = Browser::default();
    assert_eq!(follow(&world, &mut thief, &again).await.status(), 200);
    assert!(thief.session().is_none());
}

/// Begins a sign-in by a link for `ada` of the gateway; the browser and where Kroger sends it back to.
pub(super) async fn begun_by_link(world: &World) -> (Browser, String) {
    let url = world.accounts.who_calls(&subject("ada@example.com")).await.unwrap().sign_in_url.unwrap();
    let mut browser = Browser::default();
    let sent = follow(world, &mut browser, &url).await;
    let back = world.consent(&sent).await;
    (browser, back)
}

async fn tokens(world: &World) -> Vec<u8> {
    let query = sqlx::query_scalar("SELECT tokens FROM kroger_accounts");
    query.fetch_one(world.store.write()).await.unwrap()
}

#[rstest]
#[tokio::test]
async fn a_sign_in_by_a_link_changes_no_account_that_was_linked_after_it_was_begun(
    #[values(On::Memory, On::Postgres)] on: On,
) {
    let world = world(on).await;
    let (mut thief, stolen) = begun_by_link(&world).await;
    let (mut ada, back) = begun_by_link(&world).await;
    assert_eq!(world.get(&mut ada, &back, &[]).await.status(), 200);
    let linked = tokens(&world).await;
    let refused = world.get(&mut thief, &stolen, &[]).await;
    assert_eq!(refused.status(), 409);
    assert!(text(refused).await.contains("linked already"));
    assert_eq!(tokens(&world).await, linked);
    // Tokens that are over, and such as no key opens, are in nobody's way.
    for nothing in [
        "UPDATE kroger_accounts SET tokens = substr(tokens, 1, 0)",
        "UPDATE kroger_accounts SET tokens = substr(tokens, 1, 9)",
    ] {
        world.sql(nothing).await;
        let (mut again, back) = begun_by_link(&world).await;
        assert_eq!(world.get(&mut again, &back, &[]).await.status(), 200, "{nothing}");
    }
}

#[rstest]
#[tokio::test]
async fn of_two_sign_ins_by_links_that_end_at_once_one_counts(#[values(On::File, On::Postgres)] on: On) {
    let world = world(on).await;
    let (mut one, back) = begun_by_link(&world).await;
    let (mut other, other_back) = begun_by_link(&world).await;
    // Both have looked whether an account is linked before the first is saved.
    world.fault(json!({"path": "/v1/connect/", "kind": "late", "milliseconds": 300, "times": 2})).await;
    let (first, second) =
        tokio::join!(world.get(&mut one, &back, &[]), world.get(&mut other, &other_back, &[]));
    let mut statuses = [first.status().as_u16(), second.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    // It was written once: the first generation is the time.
    assert_eq!(world.count("SELECT generation - renewed_at FROM kroger_accounts").await, 0);
}

#[tokio::test]
async fn a_link_warns_whoever_would_leave_a_last_device_by_it() {
    let world = world(On::Memory).await;
    let (mut phone, mut desk) = (Browser::default(), Browser::default());
    world.sign_in(&mut phone).await;
    world.sign_in(&mut desk).await;
    let link: Value = world.post(&mut phone, "/auth/link", &[]).await.json().await.unwrap();
    let url = link["login_url"].as_str().unwrap();
    let shown = async |browser: &mut Browser| text(world.get(browser, url, &[]).await).await;
    assert!(shown(&mut desk).await.contains("your last device"));
    assert!(!shown(&mut phone).await.contains("your last device"), "the phone's user stays the same");
    assert!(!shown(&mut Browser::default()).await.contains("your last device"));
    let user = desk.who(&world).await.user.unwrap();
    world.accounts.join(&user, "Firefox").await.unwrap();
    assert!(!shown(&mut desk).await.contains("your last device"));
}

#[tokio::test]
async fn a_sign_in_that_was_begun_for_nobody_ends_no_session_that_came_meanwhile() {
    let world = world(On::Memory).await;
    let mut browser = Browser::default();
    let first = world.get(&mut browser, "/auth/login", &[]).await;
    let second = world.get(&mut browser, "/auth/login", &[]).await;
    let third = world.get(&mut browser, "/auth/login", &[]).await;
    let [first, second, third] =
        [world.consent(&first).await, world.consent(&second).await, world.consent(&third).await];
    world.get(&mut browser, &first, &[]).await;
    let (user, linked) = (browser.who(&world).await.user, tokens(&world).await);
    let stays = world.get(&mut browser, &second, &[]).await;
    assert!(text(stays).await.contains("sign out first"));
    assert_eq!((browser.who(&world).await.user, tokens(&world).await), (user.clone(), linked));
    // Whose sign-in has ended gets the new tokens, as the same user.
    world.sql("DELETE FROM kroger_accounts").await;
    assert_eq!(world.get(&mut browser, &third, &[]).await.status(), 200);
    assert_eq!(browser.who(&world).await.user, user);
    assert_eq!(world.count("SELECT COUNT(*) FROM kroger_accounts").await, 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM kroger_sessions").await, 1);
}

#[tokio::test]
async fn a_sign_in_begun_as_one_user_does_not_end_the_last_session_of_another() {
    let world = world(On::Memory).await;
    let (mut phone, mut desk) = (Browser::default(), Browser::default());
    world.sign_in(&mut phone).await;
    world.sign_in(&mut desk).await;
    let sent = world.get(&mut desk, "/auth/login?again=true", &[]).await;
    let back = world.consent(&sent).await;
    desk.cookies.insert("portico_session".to_owned(), phone.session().unwrap().clone());
    let user = phone.who(&world).await.user;
    assert_eq!(world.get(&mut desk, &back, &[]).await.status(), 200);
    assert_eq!(desk.who(&world).await.user, user);
    assert_eq!(phone.who(&world).await.user, user);
}

#[tokio::test]
async fn signing_out_ends_the_device_and_the_last_one_takes_the_tokens_along() {
    let world = world(On::Memory).await;
    let (mut phone, mut desk) = (Browser::default(), Browser::default());
    world.sign_in(&mut phone).await;
    let link: Value = world.post(&mut phone, "/auth/link", &[]).await.json().await.unwrap();
    follow(&world, &mut desk, link["login_url"].as_str().unwrap()).await;
    let old = phone.clone();
    assert_eq!(world.post(&mut phone, "/auth/logout", &[]).await.status(), 200);
    assert!(phone.session().is_none() && old.who(&world).await.user.is_none());
    assert_eq!(world.count("SELECT COUNT(*) FROM kroger_accounts").await, 1);
    let user = desk.who(&world).await.user.unwrap();
    assert!(text(world.get(&mut desk, "/auth/logout", &[]).await).await.contains("last device"));
    let answer = world.send(&mut desk, ("POST", "/auth/logout"), &[JSON], &[]).await;
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({"signed_out": true, "last_device": true}));
    assert_eq!(world.count("SELECT COUNT(*) FROM kroger_accounts").await, 0);
    assert_eq!(world.accounts.state(&user).await.unwrap(), (Link::Absent, 0));
}

#[rstest]
#[case::own_page(&[("sec-fetch-site", "same-origin")], true)]
#[case::other_site(&[("sec-fetch-site", "cross-site")], false)]
#[case::sister_site(&[("sec-fetch-site", "same-site")], false)]
#[case::typed(&[("sec-fetch-site", "none")], false)]
#[case::fetched_ahead(&[("sec-fetch-site", "same-origin"), ("sec-purpose", "prefetch")], false)]
#[case::unknown(&[], false)]
#[tokio::test]
async fn a_plain_get_signs_out_from_an_own_page_and_asks_from_elsewhere(
    #[case] headers: &[(&str, &str)],
    #[case] ends: bool,
) {
    let world = world(On::Memory).await;
    let mut browser = Browser::default();
    world.sign_in(&mut browser).await;
    let page = world.get(&mut browser, "/auth/logout", headers).await;
    assert_eq!(browser.session().is_none(), ends);
    assert_eq!(text(page).await.contains("<form"), !ends);
}

#[rstest]
#[case::fetch(&[("sec-fetch-site", "cross-site")])]
#[case::origin(&[("origin", "https://evil.example")])]
#[case::opaque(&[("origin", "null")])]
#[tokio::test]
async fn a_foreign_page_changes_nothing(
    #[case] headers: &[(&str, &str)],
    #[values("/auth/logout", "/auth/refresh", "/auth/link", "/auth/login")] path: &str,
) {
    let world = world(On::Memory).await;
    let mut browser = Browser::default();
    world.sign_in(&mut browser).await;
    assert_eq!(world.send(&mut browser, ("POST", path), headers, &[]).await.status(), 403);
    assert!(browser.who(&world).await.user.is_some());
}

#[tokio::test]
async fn a_refresh_renews_the_token_once_a_minute_and_needs_a_session() {
    let world = world(On::Memory).await;
    let mut browser = Browser::default();
    assert_eq!(world.post(&mut browser, "/auth/refresh", &[]).await.status(), 401);
    world.sign_in(&mut browser).await;
    let asked = world.asked().await;
    world.post(&mut browser, "/auth/refresh", &[]).await;
    assert_eq!(world.asked().await, asked, "a fresh token was renewed");
    world.sql("UPDATE kroger_accounts SET renewed_at = 0").await;
    let answer: Value = world.post(&mut browser, "/auth/refresh", &[]).await.json().await.unwrap();
    assert!(answer["token_expires_at"].is_string() && answer["expires_at"].is_string(), "{answer}");
    assert_eq!(world.asked().await, asked + 1);
    world.at_standin("POST", "tokens/revoke", json!({})).await;
    world.sql("UPDATE kroger_accounts SET renewed_at = 0").await;
    assert_eq!(world.post(&mut browser, "/auth/refresh", &[]).await.status(), 401);
}

#[tokio::test]
async fn whoever_is_signed_in_stays_and_whose_sign_in_has_ended_stays_the_same_user() {
    let world = world(On::Memory).await;
    let mut browser = Browser::default();
    world.sign_in(&mut browser).await;
    let user = browser.who(&world).await.user;
    let page = world.get(&mut browser, "/auth/login", &[]).await;
    assert_eq!(page.status(), 200, "another customer could have taken the first one's place");
    let back = location(&world.get(&mut browser, "/auth/login?return_to=/lists", &[]).await);
    assert_eq!(back, "/lists");
    // New rights, such as a partner's, are asked for by signing in once more.
    let sent = world.get(&mut browser, "/auth/login?again=true", &[]).await;
    let back = world.consent(&sent).await;
    assert_eq!(world.get(&mut browser, &back, &[]).await.status(), 200);
    assert_eq!(browser.who(&world).await.user, user);
    world.sql("DELETE FROM kroger_accounts").await;
    assert_eq!(world.sign_in(&mut browser).await.status(), 200);
    assert_eq!(browser.who(&world).await.user, user);
    assert_eq!(world.count("SELECT COUNT(*) FROM kroger_sessions").await, 1);
}

#[tokio::test]
async fn a_session_lasts_while_it_is_used_and_ends_when_it_is_not() {
    let world = world(On::Memory).await;
    let mut browser = Browser::default();
    world.sign_in(&mut browser).await;
    let ends = world.count("SELECT expires_at FROM kroger_sessions").await;
    world.sql("UPDATE kroger_sessions SET seen_at = 0, expires_at = expires_at - 1000").await;
    assert!(browser.who(&world).await.user.is_some());
    assert!(world.count("SELECT expires_at FROM kroger_sessions").await >= ends);
    world.sql("UPDATE kroger_sessions SET expires_at = 1").await;
    assert!(browser.who(&world).await.user.is_none());
    world.sql("UPDATE kroger_accounts SET renewed_at = 1").await;
    world.accounts.sweep().await.unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM kroger_sessions").await, 0);
    assert_eq!(world.count("SELECT COUNT(*) FROM kroger_accounts").await, 0);
}

#[tokio::test]
async fn the_device_used_longest_ago_makes_room() {
    let world = world(On::Memory).await;
    let mut first = Browser::default();
    world.sign_in(&mut first).await;
    let user = first.who(&world).await.user.unwrap();
    world.sql("UPDATE kroger_sessions SET seen_at = seen_at - 1000").await;
    for _ in 0..20 {
        world.accounts.join(&user, "Firefox").await.unwrap();
    }
    assert!(first.who(&world).await.user.is_none());
    assert_eq!(world.accounts.state(&user).await.unwrap().1, 20);
}

#[tokio::test]
async fn what_is_kept_of_a_user_can_be_read_and_deleted() {
    let world = world(On::File).await;
    let mut browser = Browser::default();
    world.sign_in(&mut browser).await;
    let user = browser.who(&world).await.user.unwrap();
    let kept = world.accounts.export(&user.id).await.unwrap();
    assert_eq!(
        (&kept["kroger_account"], &kept["devices"][0]["device"]),
        (&json!("linked"), &json!("a program"))
    );
    assert!(!kept.to_string().contains(browser.session().unwrap()));
    assert_eq!(world.accounts.delete(&user.id).await.unwrap(), 2);
    assert_eq!(world.accounts.delete(&user.id).await.unwrap(), 0);
    assert!(browser.who(&world).await.user.is_none());
}

#[tokio::test]
async fn a_code_that_kroger_does_not_take_signs_nobody_in() {
    let world = world(On::Memory).await;
    let mut browser = Browser::default();
    let sent = world.get(&mut browser, "/auth/login", &[]).await;
    let back = world.consent(&sent).await.replace("code=", "code=x");
    assert_eq!(world.get(&mut browser, &back, &[]).await.status(), 502);
    assert!(browser.session().is_none());
}
