//! What a partner's application can do, and any other cannot.

use super::*;

const MILK: &str = "0001111041700";
const EGGS: &str = "0009999041742";
/// Out of stock.
const RICE: &str = "0009999041973";
const SCOPES: &str = "cart.basic cart.basic:rw coupon.basic cart.basic:write";

struct Partner {
    standin: Standin,
    token: String,
}

impl Partner {
    async fn send(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = self.standin.http.request(method.parse().unwrap(), self.standin.url(path));
        let response = request.bearer_auth(&self.token).json(&body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, json!({})).await
    }
}

async fn partner() -> Partner {
    let standin = standin().await;
    standin.set(json!({"partner": true})).await;
    let token = standin.sign_in(SCOPES).await.access;
    Partner { standin, token }
}

fn items(cart: &Value) -> Vec<(String, u64)> {
    let lines = cart["data"]["items"].as_array().unwrap();
    lines.iter().map(|l| (l["upc"].as_str().unwrap().to_owned(), l["quantity"].as_u64().unwrap())).collect()
}

#[rstest]
#[case("GET", "/v1/carts")]
#[case("POST", "/v1/carts")]
#[case("GET", "/v1/carts/1")]
#[case("DELETE", "/v1/carts/1/items/0001111041700")]
#[case("GET", "/v1/coupons")]
#[case("POST", "/v1/coupons/800000000001/clip")]
#[tokio::test]
async fn without_the_switch_a_partners_path_is_closed_for_want_of_scopes(
    #[case] method: &str,
    #[case] path: &str,
) {
    let partner = partner().await;
    partner.standin.set(json!({"partner": false})).await;
    let (status, body) = partner.send(method, path, json!({})).await;
    assert_eq!((status, reason(&body)), (403, "missing required scopes"));
}

#[tokio::test]
async fn a_cart_is_made_read_changed_and_emptied_and_shows_no_prices() {
    let partner = partner().await;
    assert_eq!(partner.get("/v1/carts").await, (200, json!({"data": [], "meta": {}})));
    let (status, cart) = partner
        .send("POST", "/v1/carts", json!({"items": [{"upc": MILK, "quantity": 2, "modality": "PICKUP"}]}))
        .await;
    assert_eq!((status, items(&cart)), (201, vec![(MILK.to_owned(), 2)]));
    assert_eq!(cart["data"]["items"][0]["description"], "Kroger 2% Reduced Fat Milk");
    assert!(!cart.to_string().contains("rice\":"), "{cart}");
    let again = partner.send("POST", "/v1/carts", json!({})).await;
    assert_eq!((again.0, again.1["reason"].as_str()), (400, Some("Cart exists for user")));

    let id = format!("/v1/carts/{}", cart["data"]["id"].as_str().unwrap());
    let add = json!({"upc": EGGS, "quantity": 1, "allowSubstitutes": true});
    assert_eq!(partner.send("POST", &format!("{id}/items"), add).await.0, 201);
    let change = json!({"upc": EGGS, "quantity": 5});
    assert_eq!(partner.send("PUT", &format!("{id}/items/{EGGS}"), change.clone()).await.0, 204);
    assert_eq!(partner.send("DELETE", &format!("{id}/items/{MILK}"), json!({})).await.0, 204);
    assert_eq!(partner.send("DELETE", &format!("{id}/items/{MILK}"), json!({})).await.0, 404);
    assert_eq!(items(&partner.get(&id).await.1), [(EGGS.to_owned(), 5)]);
    assert_eq!(partner.send("PUT", &id, json!({"items": [change]})).await.0, 204);
    let conflict = partner.send("POST", &format!("{id}/items"), json!({"upc": RICE, "quantity": 1})).await;
    assert_eq!((conflict.0, conflict.1["reason"].as_str()), (409, Some("cart not fulfillable")));
    assert_eq!(partner.send("PUT", &id, json!({"items": []})).await.0, 204);
    assert_eq!(items(&partner.get(&id).await.1), []);
}

#[tokio::test]
async fn what_is_added_by_the_public_path_is_in_the_cart_and_a_foreign_cart_is_hidden() {
    let partner = partner().await;
    let body = json!({"items": [{"upc": MILK, "quantity": 1}]});
    partner.standin.add(&partner.token, &body).await.unwrap();
    let (_, carts) = partner.get("/v1/carts").await;
    assert_eq!(carts["data"][0]["items"][0]["upc"], MILK);
    partner.standin.set(json!({"customer": "grace"})).await;
    let grace = partner.standin.sign_in(SCOPES).await;
    let grace = Partner { token: grace.access, ..partner };
    let id = carts["data"][0]["id"].as_str().unwrap();
    assert_eq!(grace.get(&format!("/v1/carts/{id}")).await.0, 404);
    assert_eq!(grace.get("/v1/carts").await.1["data"], json!([]));
}

#[tokio::test]
async fn both_paths_to_a_cart_count_against_the_same_day() {
    let partner = partner().await;
    partner.standin.set(json!({"daily_limits": {"cart": 1}})).await;
    assert_eq!(partner.get("/v1/carts").await.0, 200);
    let body = json!({"items": [{"upc": MILK, "quantity": 1}]});
    assert_eq!(partner.standin.add(&partner.token, &body).await.unwrap().status(), 429);
}

#[tokio::test]
async fn coupons_are_listed_by_category_and_page_and_none_that_has_ended() {
    let partner = partner().await;
    let (status, all) = partner.get("/v1/coupons?filter.limit=50").await;
    let all = (status, all["data"].as_array().unwrap().len(), &all["meta"]["pagination"]["total"]);
    assert_eq!(all, (200, 15, &json!(15)));
    let (_, dairy) = partner.get("/v1/coupons?filter.category=dairy&filter.start=1&filter.limit=1").await;
    assert_eq!(
        (dairy["data"][0]["id"].as_str(), &dairy["meta"]["pagination"]["total"]),
        (Some("800000000002"), &json!(3))
    );
    assert_eq!((&dairy["data"][0]["value"], &dairy["data"][0]["clipped"]), (&json!(1.0), &json!(false)));
    assert_eq!(partner.get("/v1/coupons?filter.limit=51").await.0, 400);
}

#[tokio::test]
async fn a_coupon_is_clipped_once_by_each_customer_and_never_after_its_end() {
    let partner = partner().await;
    let clip = async |id: &str| partner.send("POST", &format!("/v1/coupons/{id}/clip"), json!({})).await.0;
    assert_eq!(clip("800000000001").await, 204);
    assert_eq!(clip("800000000001").await, 409);
    assert_eq!(clip("800000000016").await, 410);
    assert_eq!(clip("0").await, 404);
    let clipped = partner.get("/v1/coupons?filter.limit=1").await.1["data"][0]["clipped"].clone();
    assert_eq!(clipped, true);
    partner.standin.set(json!({"customer": "grace"})).await;
    let grace = partner.standin.sign_in(SCOPES).await;
    let grace = Partner { token: grace.access, ..partner };
    assert_eq!(grace.get("/v1/coupons?filter.limit=1").await.1["data"][0]["clipped"], false);
}

#[tokio::test]
async fn a_setting_adds_coupons_for_further_pages() {
    let partner = partner().await;
    partner.standin.set(json!({"more_coupons": 40})).await;
    let (_, page) = partner.get("/v1/coupons?filter.start=50&filter.limit=50").await;
    let page = (page["data"].as_array().unwrap().len(), &page["meta"]["pagination"]["total"]);
    assert_eq!(page, (5, &json!(55)));
}
