//! What a customer's token does to the cart.

use super::*;

const MILK: &str = "0001111041700";
const EGGS: &str = "0009999041742";

impl Standin {
    pub(super) async fn add(&self, access: &str, body: &Value) -> reqwest::Result<Response> {
        self.http.put(self.url("/v1/cart/add")).bearer_auth(access).json(body).send().await
    }

    async fn carts(&self) -> Value {
        let mut carts = self.look("/_standin/carts").await;
        for line in
            carts.as_object_mut().unwrap().values_mut().flat_map(|lines| lines.as_array_mut().unwrap())
        {
            *line = json!([line["upc"], line["quantity"], line["modality"]]);
        }
        carts
    }
}

#[tokio::test]
async fn adding_again_adds_to_the_quantity_of_the_same_way_and_answers_nothing() {
    let standin = standin().await;
    let ada = standin.sign_in("cart.basic:write").await;
    let body = json!({"items": [{"upc": MILK, "quantity": 2}, {"upc": EGGS, "quantity": 1, "modality": "DELIVERY"}]});
    let added = standin.add(&ada.access, &body).await.unwrap();
    assert_eq!((added.status().as_u16(), added.text().await.unwrap().as_str()), (204, ""));
    standin
        .add(&ada.access, &json!({"items": [{"upc": MILK, "quantity": 1, "modality": "PICKUP"}]}))
        .await
        .unwrap();
    assert_eq!(standin.carts().await, json!({"ada": [[MILK, 3, "PICKUP"], [EGGS, 1, "DELIVERY"]]}));
    standin.set(json!({"customer": "grace"})).await;
    let grace = standin.sign_in("cart.basic:write").await;
    standin.add(&grace.access, &json!({"items": [{"upc": EGGS, "quantity": 1}]})).await.unwrap();
    assert_eq!(standin.carts().await["grace"], json!([[EGGS, 1, "PICKUP"]]));
}

#[rstest]
#[case::short_upc(json!([{"upc": MILK, "quantity": 1}, {"upc": "12", "quantity": 1}]), "UPC must have a length of 13 characters")]
#[case::modality(json!([{"upc": MILK, "quantity": 1}, {"upc": EGGS, "quantity": 1, "modality": "DRONE"}]), "Modality must be omitted or equal to one of the following codes: SHIP, DELIVERY, PICKUP")]
#[case::zero(json!([{"upc": MILK, "quantity": 1}, {"upc": EGGS, "quantity": 0}]), "Cannot parse parameters")]
#[case::text(json!([{"upc": MILK, "quantity": 1}, {"upc": EGGS, "quantity": "two"}]), "Cannot parse parameters")]
#[case::nothing(json!([]), "Cannot parse parameters")]
#[tokio::test]
async fn one_bad_line_refuses_all_lines(#[case] items: Value, #[case] reason: &str) {
    let standin = standin().await;
    let ada = standin.sign_in("cart.basic:write").await;
    let refused = standin.add(&ada.access, &json!({"items": items})).await.unwrap();
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.json::<Value>().await.unwrap()["reason"], reason);
    assert_eq!(standin.carts().await, json!({}));
}

#[tokio::test]
async fn a_token_without_the_scope_opens_no_cart_and_one_that_is_gone_neither() {
    let standin = standin().await;
    let ada = standin.sign_in("profile.compact").await;
    let body = json!({"items": [{"upc": MILK, "quantity": 1}]});
    let unscoped = standin.add(&ada.access, &body).await.unwrap();
    assert_eq!(unscoped.status(), 403);
    assert_eq!(reason(&unscoped.json().await.unwrap()), "missing required scopes");
    let gone = standin.add("gone", &body).await.unwrap();
    assert_eq!(gone.status(), 401);
}

#[rstest]
#[case::dropped(json!({"kind": "drop"}))]
#[case::failed(json!({"kind": "status", "status": 503, "form": "html", "served": true}))]
#[tokio::test]
async fn a_lost_answer_has_filled_the_cart_all_the_same_and_the_put_is_counted(#[case] mut fault: Value) {
    let standin = standin().await;
    let ada = standin.sign_in("cart.basic:write").await;
    fault["path"] = json!("/v1/cart/");
    standin.switch(fault).await;
    let answer = standin.add(&ada.access, &json!({"items": [{"upc": MILK, "quantity": 1}]})).await;
    let is_known = match answer {
        Ok(answer) => answer.status().is_success() && answer.bytes().await.is_ok(),
        Err(_) => false,
    };
    assert!(!is_known);
    assert_eq!(standin.carts().await, json!({"ada": [[MILK, 1, "PICKUP"]]}));
    assert_eq!(standin.look("/_standin/requests").await["PUT /v1/cart/add"], 1);
    let metrics = standin.http.get(standin.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let line = "portico_standin_requests_total{method=\"PUT\",path=\"/v1/cart/add\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
}
