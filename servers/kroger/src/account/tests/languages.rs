//! The pages of the sign-in, in the language of the browser.

use rstest::rstest;
use serde_json::{Value, json};

use super::{Browser, On, World, world};

/// What a browser that reads `language` is shown under `path`, and its status.
async fn page(world: &World, browser: &mut Browser, path: &str, language: &str) -> (u16, String) {
    let headers = [("accept-language", language), ("sec-fetch-site", "none")];
    let response = world.get(browser, path, &headers).await;
    (response.status().as_u16(), response.text().await.unwrap())
}

#[rstest]
#[case::spanish(
    "es-MX,es;q=0.9,en;q=0.5",
    "es",
    "Has iniciado sesión",
    "¿Cerrar sesión?",
    "Empieza de nuevo"
)]
#[case::french("fr", "fr", "Vous êtes connecté", "Se déconnecter ?", "Recommencez")]
#[case::german("de-AT, en;q=0.1", "de", "Du bist angemeldet", "Abmelden?", "Beginne von vorn")]
#[case::one_that_is_not_spoken("pt", "en", "You are signed in", "Sign out?", "Begin again")]
#[tokio::test]
async fn a_customer_reads_the_pages_in_the_language_of_the_browser(
    #[case] language: &str,
    #[case] tag: &str,
    #[case] signed_in: &str,
    #[case] sign_out: &str,
    #[case] again: &str,
) {
    let world = world(On::Memory).await;
    let mut browser = Browser::default();
    let sent = world.get(&mut browser, "/auth/login", &[]).await;
    let back = world.consent(&sent).await;
    let html = format!("<html lang=\"{tag}\">");
    for (path, status, said) in [
        (back.as_str(), 200, signed_in),
        (back.as_str(), 400, again),
        ("/auth/login", 200, signed_in),
        ("/auth/logout", 200, sign_out),
    ] {
        let (found, text) = page(&world, &mut browser, path, language).await;
        assert!(found == status && text.contains(&html) && text.contains(said), "{path}: {found} {text}");
        assert!(tag == "en" || !text.contains("you"), "{path}: {text}");
    }
}

#[tokio::test]
async fn a_program_is_told_in_its_language_too() {
    let world = world(On::Memory).await;
    let headers = [("accept", "application/json"), ("accept-language", "de")];
    let refused = world.send(&mut Browser::default(), ("POST", "/auth/refresh"), &headers, &[]).await;
    assert_eq!(refused.status(), 401);
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["title"], "Melde dich zuerst an");
    assert!(problem["detail"].as_str().unwrap().starts_with("Dafür musst du"), "{problem}");
}

#[tokio::test]
async fn a_code_to_which_kroger_gives_no_answer_means_beginning_again_and_keeps_nothing() {
    let world = world(On::Memory).await;
    let mut browser = Browser::default();
    let sent = world.get(&mut browser, "/auth/login", &[]).await;
    let back = world.consent(&sent).await;
    world.fault(json!({ "path": "/v1/connect/oauth2/token", "kind": "drop", "times": 1 })).await;
    let (status, text) = page(&world, &mut browser, &back, "en").await;
    assert!(status == 502 && text.contains("gave no answer, and nothing was kept. Begin again"), "{text}");
    assert_eq!((browser.session(), world.count("SELECT COUNT(*) FROM kroger_accounts").await), (None, 0));
    assert_eq!(world.sign_in(&mut browser).await.status(), 200);
}
