//! A customer with two devices, and what the customer was told.

use std::sync::{Arc, Mutex, atomic::Ordering};

use rand::{Rng as _, rngs::StdRng};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::crowd::{Crowd, Reply};

/// Products that are in stock and may be ordered in any number.
const PRODUCTS: [&str; 12] = [
    "0001111041700",
    "0009999041707",
    "0009999041714",
    "0009999041721",
    "0009999041742",
    "0009999041749",
    "0009999041756",
    "0009999041777",
    "0009999041784",
    "0009999041791",
    "0009999041805",
    "0009999041812",
];
const MODALITIES: [&str; 2] = ["PICKUP", "DELIVERY"];
/// Each is sent once of each product in each way: the number that Kroger has then tells by its digits, to the base of three, how
/// often each addition was carried out.
pub const QUANTITIES: [u32; 5] = [1, 3, 9, 27, 81];
/// Additions that a customer can make.
const MOST: usize = PRODUCTS.len() * MODALITIES.len() * QUANTITIES.len();
/// Items of a list before the next one is made.
const LONG: usize = 100;

/// What the customer knows of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Done,
    /// Answered with "it is not known".
    Unknown,
    /// The connection broke.
    Broken,
    /// Not done, for certain.
    Not,
}

#[derive(Debug, Clone)]
pub struct Addition {
    pub product: &'static str,
    pub modality: &'static str,
    pub quantity: u32,
    pub told: Told,
}

#[derive(Debug, Default)]
pub struct Ledger {
    pub additions: Vec<Addition>,
    /// Texts of items.
    pub items: Vec<(String, Told)>,
    list: Option<(String, usize)>,
    /// How often the customer has signed in again.
    pub signed_in_again: u32,
}

pub struct Customer {
    pub name: String,
    pub session: String,
    /// The server's own name of the customer.
    pub user: String,
    pub ledger: Mutex<Ledger>,
    /// Held by the device that signs in.
    signing_in: tokio::sync::Mutex<()>,
}

impl Customer {
    pub fn new(name: String, session: String, user: String) -> Self {
        Self { name, session, user, ledger: Mutex::default(), signing_in: tokio::sync::Mutex::default() }
    }

    /// One of the customer's devices, until all stop.
    pub async fn shop(self: Arc<Self>, crowd: Arc<Crowd>, mut random: StdRng) {
        while !crowd.stop.is_cancelled() {
            match random.random_range(0..10) {
                0..5 => self.add(&crowd, &mut random).await,
                5..8 => self.write_down(&crowd, &mut random).await,
                _ => self.look(&crowd, &mut random).await,
            }
        }
    }

    /// Additions of which the customer knows this.
    pub fn count(&self, told: Told) -> u64 {
        let ledger = self.ledger.lock().unwrap();
        u64::try_from(ledger.additions.iter().filter(|addition| addition.told == told).count()).unwrap()
    }

    fn arguments(&self, mut arguments: Value) -> Value {
        arguments["session_id"] = json!(self.session);
        arguments
    }

    /// Adds to the cart; whether that was carried out.
    pub async fn add(&self, crowd: &Crowd, random: &mut StdRng) {
        let (number, addition) = {
            let mut ledger = self.ledger.lock().unwrap();
            let number = ledger.additions.len();
            if number >= MOST {
                return;
            }
            let addition = nth(number);
            ledger.additions.push(addition.clone());
            (number, addition)
        };
        let arguments = self.arguments(json!({
            "action": "add",
            "product_id": addition.product,
            "quantity": addition.quantity,
            "modality": addition.modality,
        }));
        let told = self.ask(crowd, random, "manage_cart", &arguments).await;
        self.ledger.lock().unwrap().additions[number].told = told;
    }

    /// Puts something on the newest list.
    async fn write_down(&self, crowd: &Crowd, random: &mut StdRng) {
        let list = self.ledger.lock().unwrap().list.clone().filter(|(_, items)| *items < LONG);
        let Some((list, _)) = list else {
            return self.make_list(crowd, random).await;
        };
        let text = format!("{:016x}", random.random::<u64>());
        let arguments = self.arguments(json!({ "action": "add_item", "list_id": list, "text": text }));
        let told = self.ask(crowd, random, "shopping_lists", &arguments).await;
        let mut ledger = self.ledger.lock().unwrap();
        ledger.items.push((text, told));
        if let Some((_, items)) = &mut ledger.list {
            *items += 1;
        }
    }

    async fn make_list(&self, crowd: &Crowd, random: &mut StdRng) {
        let arguments = self.arguments(json!({ "action": "create", "name": "Week" }));
        match crowd.call(random, "shopping_lists", &arguments).await {
            Reply::Answer(StatusCode::OK, lists) => {
                let id = lists["lists"][0]["list_id"].as_str().unwrap().to_owned();
                self.ledger.lock().unwrap().list = Some((id, 0));
            }
            Reply::Answer(status, body) => crowd.fail_by("a new list", status, &body),
            Reply::Broken | Reply::NotSent => {}
        }
    }

    async fn look(&self, crowd: &Crowd, random: &mut StdRng) {
        let reply = crowd.call(random, "user_profile", &self.arguments(json!({}))).await;
        if let Reply::Answer(status, body) = reply
            && (status != StatusCode::OK || body["signed_in"] != true)
        {
            crowd.fail_by(&format!("the profile of {}", self.name), status, &body);
        }
    }

    /// Asks for a change, and signs in again where the answer wants it.
    async fn ask(&self, crowd: &Crowd, random: &mut StdRng, tool: &str, arguments: &Value) -> Told {
        match crowd.call(random, tool, arguments).await {
            Reply::Answer(StatusCode::OK, _) => {
                crowd.done.fetch_add(1, Ordering::Relaxed);
                Told::Done
            }
            Reply::Answer(StatusCode::UNAUTHORIZED, body) => {
                let link = body["sign_in_url"].as_str().unwrap_or_default();
                let _alone = self.signing_in.lock().await;
                if crowd.sign_in_again(random, &self.name, link).await {
                    self.ledger.lock().unwrap().signed_in_again += 1;
                }
                Told::Not
            }
            Reply::Answer(_, body) if body["class"] == "unknown_outcome" => Told::Unknown,
            Reply::Answer(status, body) => {
                crowd.fail_by(&format!("{tool} of {}", self.name), status, &body);
                Told::Not
            }
            Reply::Broken => {
                crowd.broken.fetch_add(1, Ordering::Relaxed);
                Told::Broken
            }
            Reply::NotSent => Told::Not,
        }
    }
}

fn nth(number: usize) -> Addition {
    let (line, digit) = (number / QUANTITIES.len(), number % QUANTITIES.len());
    Addition {
        product: PRODUCTS[line / MODALITIES.len()],
        modality: MODALITIES[line % MODALITIES.len()],
        quantity: QUANTITIES[digit],
        told: Told::Broken,
    }
}
