//! Switches that change what is answered, and data as rich as real answers.

use super::*;

const STORE: &str = "01400376";

#[tokio::test]
async fn a_used_up_day_tells_how_long_to_wait_only_where_that_is_set() {
    let standin = standin().await;
    standin.set(json!({"daily_limits": {"products": 1}})).await;
    let token = standin.token("product.compact").await;
    let url = standin.url("/v1/products?filter.term=milk");
    let send = || standin.http.get(&url).bearer_auth(&token).send();
    assert_eq!(send().await.unwrap().status(), 200);
    let without = send().await.unwrap();
    assert_eq!((without.status().as_u16(), without.headers().get("retry-after")), (429, None));
    standin.set(json!({"quota_retry_after": 3600})).await;
    let with = send().await.unwrap();
    assert_eq!((with.status().as_u16(), &with.headers()["retry-after"]), (429, &"3600".parse().unwrap()));
    assert_eq!(standin.get("/v1/locations").await.0, 200);
    standin.http.delete(standin.url("/_standin/requests")).send().await.unwrap();
    assert_eq!(send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn settings_are_shown_and_a_wrong_one_changes_none() {
    let standin = standin().await;
    let url = standin.url("/_standin/settings");
    for wrong in [json!({"partner": true, "colour": 1}), json!({"partner": "yes"}), json!([])] {
        let refused = standin.http.post(&url).json(&wrong).send().await.unwrap();
        assert_eq!(refused.status(), 400, "{wrong}");
    }
    standin.set(json!({"customer": "grace"})).await;
    let shown = standin.look("/_standin/settings").await;
    assert_eq!((&shown["partner"], &shown["customer"]), (&json!(false), &json!("grace")));
}

#[tokio::test]
async fn the_clock_may_be_off() {
    let standin = standin().await;
    standin.set(json!({"date_skew_seconds": -86_400 * 400})).await;
    let off = standin.http.get(standin.url("/healthz")).send().await.unwrap();
    let told = off.headers()["date"].to_str().unwrap().to_owned();
    standin.set(json!({"date_skew_seconds": 0})).await;
    let right = standin.http.get(standin.url("/healthz")).send().await.unwrap();
    let right = right.headers()["date"].to_str().unwrap().to_owned();
    // "Fri, 27 Nov 2026 10:00:00 GMT"
    let year = |date: &str| date.split(' ').nth(3).unwrap().parse::<u32>().unwrap();
    assert!(year(&told) < year(&right) && told.ends_with(" GMT"), "{told} {right}");
}

#[tokio::test]
async fn prices_change_by_a_switch_and_an_unknown_product_changes_none() {
    let standin = standin().await;
    let price = async |id: &str| {
        let (_, found) = standin.get(&format!("/v1/products/{id}?filter.locationId={STORE}")).await;
        found["data"]["items"][0]["price"].clone()
    };
    let put = |body: Value| standin.http.put(standin.url("/_standin/prices")).json(&body).send();
    let new = json!({"0001111041700": {"regular": 2.5, "promo": 2.0}, "0009999041735": {"regular": 1.0}});
    assert_eq!(put(new).await.unwrap().status(), 204);
    let milk = price("0001111041700").await;
    assert_eq!((&milk["regular"], &milk["promo"]), (&json!(2.5), &json!(2.0)));
    assert_eq!(price("0009999041735").await["regular"], 1.0);
    let ending = json!({"0001111041700": {"regular": 2.5, "promo": 2.0, "ends": "2030-01-02T03:04:05Z"}});
    assert_eq!(put(ending).await.unwrap().status(), 204);
    assert_eq!(price("0001111041700").await["expirationDate"]["value"], "2030-01-02T03:04:05Z");
    let unknown = json!({"0001111041700": {"regular": 9.0}, "0": {"regular": 9.0}});
    assert_eq!(put(unknown).await.unwrap().status(), 404);
    assert_eq!(price("0001111041700").await["regular"], 2.5);
    let (_, without) = standin.get("/v1/products/0001111041700").await;
    assert!(without["data"]["items"][0]["price"].is_null());
    standin.http.delete(standin.url("/_standin/prices")).send().await.unwrap();
    assert_eq!(price("0001111041700").await["regular"], 1.99);
}

#[tokio::test]
async fn a_late_answer_comes_after_the_request_was_served() {
    let standin = standin().await;
    let ada = standin.sign_in("cart.basic:write").await;
    standin.switch(json!({"path": "/v1/cart/", "kind": "late", "milliseconds": 120_000})).await;
    let body = json!({"items": [{"upc": "0001111041700", "quantity": 1}]});
    let filled = async {
        while standin.look("/_standin/carts").await == json!({}) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = standin.add(&ada.access, &body) => panic!("the answer was not late"),
        filled = tokio::time::timeout(std::time::Duration::from_mins(1), filled) => filled.unwrap(),
    }
}

#[tokio::test]
async fn an_answer_is_as_large_as_a_real_one() {
    let standin = standin().await;
    let (_, found) = standin
        .get(&format!("/v1/products?filter.term=kroger&filter.limit=50&filter.locationId={STORE}"))
        .await;
    let product = &found["data"][0];
    let images = product["images"].as_array().unwrap();
    assert_eq!(images.len(), 5);
    assert!(images.iter().all(|image| image["sizes"].as_array().unwrap().len() == 5));
    for field in ["itemInformation", "aisleLocations", "nutritionInformation", "ratingsAndReviews"] {
        assert!(!product[field].is_null(), "{field}");
    }
    assert!(product.to_string().len() > 4_000);
}

#[rstest]
#[case::milk("milk", 8)]
#[case::eggs("eggs", 2)]
#[case::chicken("chicken", 5)]
#[case::rice("rice", 5)]
#[case::tofu("tofu", 2)]
#[case::garlic("garlic", 2)]
#[case::gluten_free("gluten free", 7)]
#[tokio::test]
async fn a_meal_planner_finds_its_groceries(#[case] term: &str, #[case] least: u64) {
    let (_, found) = standin().await.get(&format!("/v1/products?filter.term={term}")).await;
    assert!(found["meta"]["pagination"]["total"].as_u64().unwrap() >= least, "{}", found["meta"]);
}

#[tokio::test]
async fn the_rare_forms_are_among_the_products() {
    let data: Vec<Value> = serde_json::from_str(include_str!("../../src/kroger/data/products.json")).unwrap();
    let count = |has: &dyn Fn(&Value) -> bool| data.iter().filter(|product| has(product)).count();
    assert!(data.len() >= 150);
    assert!(count(&|p| p["items"][0]["soldBy"] == "WEIGHT") >= 10);
    assert!(count(&|p| p["items"][0]["price"]["promo"] == 0) >= 10);
    assert!(count(&|p| p["items"][0]["price"].is_null()) >= 3);
    assert!(
        count(&|p| p["items"][0]["price"].is_object() && p["items"][0]["price"]["promo"].is_null()) >= 10
    );
    assert!(count(&|p| p["nutritionInformation"].is_array()) >= 10);
    assert!(count(&|p| p["nutritionInformation"].is_object()) >= 10);
    assert!(count(&|p| p["retstrictions"]["maximumOrderQuantity"].is_u64()) >= 5);
    assert!(count(&|p| p["items"][0]["inventory"].is_null()) >= 3);
    assert!(count(&|p| p["allergens"].is_array()) >= 10);
}
