//! Authorization, codes, refresh.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Url, redirect};
use sha2::{Digest, Sha256};

use super::*;

pub(super) const BACK: &str = "http://127.0.0.1:9/auth/callback";
const VERIFIER: &str = "a-verifier-of-forty-three-letters-and-no-more";

/// Access and refresh token.
pub(super) struct Pair {
    pub(super) access: String,
    pub(super) refresh: String,
}

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))
}

impl Standin {
    async fn authorize(&self, change: &[(&str, &str)]) -> Response {
        let challenge = challenge();
        let mut query = vec![
            ("response_type", "code"),
            ("client_id", "standin-client"),
            ("redirect_uri", BACK),
            ("scope", "cart.basic:write profile.compact"),
            ("state", "s 1"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        query.retain(|(name, _)| change.iter().all(|(other, _)| other != name));
        query.extend(change);
        let http = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        http.get(self.url("/v1/connect/oauth2/authorize")).query(&query).send().await.unwrap()
    }

    async fn code(&self, scope: &str) -> String {
        sent_back(&self.authorize(&[("scope", scope)]).await, "code").unwrap()
    }

    pub(super) async fn exchange(&self, code: &str, verifier: &str) -> Response {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", BACK),
            ("code_verifier", verifier),
        ];
        self.grant(&form, "standin-secret").await
    }

    pub(super) async fn sign_in(&self, scope: &str) -> Pair {
        pair(self.exchange(&self.code(scope).await, VERIFIER).await).await
    }

    pub(super) async fn refresh(&self, refresh: &str) -> Response {
        self.grant(&[("grant_type", "refresh_token"), ("refresh_token", refresh)], "standin-secret").await
    }

    pub(super) async fn profile(&self, access: &str) -> (StatusCode, Value) {
        let url = self.url("/v1/identity/profile");
        let response = self.http.get(url).bearer_auth(access).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }
}

pub(super) async fn pair(response: Response) -> Pair {
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    let text = |field: &str| body[field].as_str().unwrap().to_owned();
    Pair { access: text("access_token"), refresh: text("refresh_token") }
}

/// A parameter of the address that the browser is sent back to.
fn sent_back(response: &Response, parameter: &str) -> Option<String> {
    assert_eq!(response.status(), 302);
    let location = Url::parse(response.headers()["location"].to_str().unwrap()).unwrap();
    assert_eq!(location.path(), "/auth/callback");
    location.query_pairs().find(|(name, _)| name == parameter).map(|(_, value)| value.into_owned())
}

async fn description(response: Response) -> String {
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.unwrap();
    format!("{}: {}", body["error"].as_str().unwrap(), body["error_description"].as_str().unwrap())
}

#[tokio::test]
async fn a_customer_who_consents_is_sent_back_with_a_code_that_opens_the_own_profile() {
    let standin = standin().await;
    let back = standin.authorize(&[]).await;
    assert_eq!(sent_back(&back, "state").as_deref(), Some("s 1"));
    let tokens = standin.exchange(&sent_back(&back, "code").unwrap(), VERIFIER).await;
    let body: Value = tokens.json().await.unwrap();
    assert_eq!((&body["expires_in"], &body["token_type"]), (&json!(1800), &json!("bearer")));
    assert_eq!(body["scope"], "cart.basic:write profile.compact");
    let (status, profile) = standin.profile(body["access_token"].as_str().unwrap()).await;
    assert_eq!((status.as_u16(), profile["data"].as_object().unwrap().len()), (200, 1));
    assert_eq!(profile["data"]["id"].as_str().unwrap().len(), 36);
}

#[tokio::test]
async fn each_customer_has_an_id_that_stays() {
    let standin = standin().await;
    let mut ids = Vec::new();
    for customer in ["ada", "grace", "ada"] {
        standin.set(json!({"customer": customer})).await;
        let tokens = standin.sign_in("profile.compact").await;
        ids.push(standin.profile(&tokens.access).await.1["data"]["id"].clone());
    }
    assert!(ids[0] == ids[2] && ids[0] != ids[1], "{ids:?}");
}

#[tokio::test]
async fn a_customer_who_refuses_is_sent_back_without_a_code() {
    let standin = standin().await;
    standin.set(json!({"deny": true})).await;
    let back = standin.authorize(&[]).await;
    assert_eq!(sent_back(&back, "error").as_deref(), Some("access_denied"));
    let told = sent_back(&back, "error_description");
    assert_eq!(told.as_deref(), Some("The resource owner denied the request"));
    assert_eq!((sent_back(&back, "code"), sent_back(&back, "state").as_deref()), (None, Some("s 1")));
}

#[rstest]
#[case::response_type("response_type", "token", "unsupported_response_type")]
#[case::plain("code_challenge_method", "plain", "invalid_request")]
#[case::no_scope("scope", "", "invalid_scope")]
#[case::partner_scope("scope", "profile.compact coupon.basic", "invalid_scope")]
#[tokio::test]
async fn what_is_wrong_with_a_request_goes_back_to_the_application(
    #[case] parameter: &str,
    #[case] value: &str,
    #[case] error: &str,
) {
    let back = standin().await.authorize(&[(parameter, value)]).await;
    assert_eq!((sent_back(&back, "error").as_deref(), sent_back(&back, "code")), (Some(error), None));
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_is_not_registered_exactly() {
    let standin = standin().await;
    for foreign in ["https://example.com/auth/callback", "http://127.0.0.1.example.com/", "file:///tmp", ""] {
        let refused = description(standin.authorize(&[("redirect_uri", foreign)]).await).await;
        assert!(refused.contains("did not match the registered redirect_uri"), "{foreign}: {refused}");
    }
    assert!(description(standin.authorize(&[("client_id", "other")]).await).await.contains("client_id"));
    standin.set(json!({"redirect_uris": ["https://portico.example/auth/callback"]})).await;
    assert_eq!(standin.authorize(&[]).await.status(), 400);
    let back = standin.authorize(&[("redirect_uri", "https://portico.example/auth/callback")]).await;
    assert!(sent_back(&back, "code").is_some());
}

#[tokio::test]
async fn a_code_works_once_and_only_with_its_verifier_and_address() {
    let standin = standin().await;
    let code = standin.code("profile.compact").await;
    assert_eq!(standin.exchange(&code, VERIFIER).await.status(), 200);
    let spent = standin.exchange(&code, VERIFIER).await;
    assert_eq!(description(spent).await, "invalid_request: invalid code");
    let wrong = "another-verifier-that-is-long-enough-for-the-rules";
    let code = standin.code("profile.compact").await;
    assert_eq!(standin.exchange(&code, wrong).await.status(), 400);
    let code = standin.code("profile.compact").await;
    let elsewhere = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", "http://127.0.0.1:9/other"),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(standin.grant(&elsewhere, "standin-secret").await.status(), 400);
}

#[tokio::test]
async fn a_client_without_a_secret_needs_pkce() {
    let standin = standin().await;
    let code = standin.code("profile.compact").await;
    let url = standin.url("/v1/connect/oauth2/token");
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", BACK),
        ("client_id", "standin-client"),
    ];
    let without = standin.http.post(&url).form(&form).send().await.unwrap();
    assert_eq!(without.status(), 401);
    form.push(("code_verifier", VERIFIER));
    assert_eq!(standin.http.post(&url).form(&form).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_refresh_token_is_replaced_by_each_refresh_and_its_replay_is_refused() {
    let standin = standin().await;
    let first = standin.sign_in("profile.compact").await;
    let second = pair(standin.refresh(&first.refresh).await).await;
    assert_ne!(first.refresh, second.refresh);
    assert_eq!(standin.profile(&second.access).await.0, 200);
    for bad in [first.refresh.as_str(), "invented"] {
        let refused = description(standin.refresh(bad).await).await;
        assert_eq!(refused, "invalid_request: invalid refresh_token");
    }
    assert_eq!(standin.refresh(&second.refresh).await.status(), 200);
}

#[tokio::test]
async fn a_refresh_whose_answer_is_lost_has_spent_the_token() {
    let standin = standin().await;
    let tokens = standin.sign_in("profile.compact").await;
    standin.set(json!({"drop_refreshes": 1})).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh.as_str())];
    let url = standin.url("/v1/connect/oauth2/token");
    let lost = standin.http.post(url).basic_auth("standin-client", Some("standin-secret")).form(&form).send();
    let is_lost = match lost.await {
        Ok(answer) => answer.bytes().await.is_err(),
        Err(_) => true,
    };
    assert!(is_lost);
    assert_eq!(standin.refresh(&tokens.refresh).await.status(), 400);
    let other = standin.sign_in("profile.compact").await;
    assert_eq!(standin.refresh(&other.refresh).await.status(), 200);
}

#[tokio::test]
async fn tokens_of_one_customer_can_be_ended_and_those_of_another_stay() {
    let standin = standin().await;
    let ada = standin.sign_in("profile.compact").await;
    standin.set(json!({"customer": "grace"})).await;
    let grace = standin.sign_in("profile.compact").await;
    let post = |path: &str| standin.http.post(standin.url(path)).send();

    post("/_standin/tokens/expire?customer=ada").await.unwrap();
    assert_eq!(standin.profile(&ada.access).await.0, 401);
    let ada = pair(standin.refresh(&ada.refresh).await).await;
    assert_eq!(standin.profile(&ada.access).await.0, 200);

    let ended: Value = post("/_standin/tokens/revoke?customer=ada").await.unwrap().json().await.unwrap();
    assert_eq!(ended["ended"], 2);
    assert_eq!(standin.profile(&ada.access).await.0, 401);
    assert_eq!(standin.refresh(&ada.refresh).await.status(), 400);
    assert_eq!(standin.profile(&grace.access).await.0, 200);
}

#[tokio::test]
async fn the_life_of_a_token_may_be_told_wrongly() {
    let standin = standin().await;
    standin.set(json!({"token_seconds": 600, "claimed_seconds": 172_800})).await;
    let tokens = standin.exchange(&standin.code("profile.compact").await, VERIFIER).await;
    assert_eq!(tokens.json::<Value>().await.unwrap()["expires_in"], 172_800);
}
