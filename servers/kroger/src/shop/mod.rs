//! What all tools work with: Kroger, what users keep, and the prices that were seen.

pub(crate) mod money;
pub(crate) mod product;

use std::collections::HashMap;

use portico_kit::{documents::Documents, tool::ToolError};

use crate::{
    account::{Accounts, Who},
    config::is_location,
    tools::profile::{self, Preferences},
    upstream::{Api, model::Product},
};

/// Everything of one server.
pub(crate) struct Shop {
    pub(crate) kroger: Api,
    pub(crate) accounts: Accounts,
    pub(crate) documents: Documents,
    /// The store whose prices are shown where neither the call nor the user names one.
    pub(crate) default_store: Option<String>,
}

/// Products by their ids, and how old the answer is where Kroger could not be asked.
#[derive(Default)]
pub(crate) struct Products {
    pub(crate) by_id: HashMap<String, Product>,
    pub(crate) stale_seconds: Option<u64>,
}

impl Shop {
    /// The store that a call is about: the one it names in `field`, the user's, the server's.
    pub(crate) async fn store(&self, who: &Who, asked: Option<&str>, field: &str) -> Result<Option<String>, ToolError> {
        if let Some(id) = asked {
            if !is_location(id) {
                return Err(ToolError::invalid(field, "must have 8 letters or digits, such as 01400376"));
            }
            return Ok(Some(id.to_owned()));
        }
        let preferred = match &who.user {
            Some(user) => self.preferences(&user.id).await?.location_id,
            None => None,
        };
        Ok(preferred.or_else(|| self.default_store.clone()))
    }

    /// What the user prefers; nothing where the user has never said.
    pub(crate) async fn preferences(&self, user: &str) -> Result<Preferences, ToolError> {
        let found = self.documents.get(user, profile::KIND, profile::ID).await?;
        Ok(found.map(|document| document.body).unwrap_or_default())
    }

    /// The products of `ids`, with prices where a store is given. Unknown ones are left out.
    pub(crate) async fn products(&self, ids: &[&str], store: Option<&str>) -> Result<Products, ToolError> {
        if ids.is_empty() {
            return Ok(Products::default());
        }
        let looked = self.kroger.by_ids(ids, store).await?;
        let by_id = looked.data.iter().map(|product| (product.product_id.clone(), product.clone())).collect();
        Ok(Products { by_id, stale_seconds: looked.stale_seconds })
    }

    /// As [`Shop::products`]; without any where Kroger cannot be asked, since what is shown is worth showing without prices.
    pub(crate) async fn products_if_possible(&self, ids: &[&str], store: Option<&str>, notes: &mut Vec<String>) -> Products {
        match self.products(ids, store).await {
            Ok(products) => products,
            Err(error) => {
                notes.push(format!("Prices are missing: {error}."));
                Products::default()
            }
        }
    }
}

/// Whether the text has the form of a product id: 13 digits.
pub(crate) fn check_product_id(id: &str, field: &str) -> Result<(), ToolError> {
    if id.len() == 13 && id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    Err(ToolError::invalid(field, "must have 13 digits, as search_products_advanced shows them"))
}

/// Text of a user: trimmed, without control characters, of 1 to `most` characters.
pub(crate) fn check_text(text: &str, field: &str, most: usize) -> Result<String, ToolError> {
    let text: String = text.trim().chars().filter(|letter| !letter.is_control()).collect();
    if (1..=most).contains(&text.chars().count()) {
        return Ok(text);
    }
    Err(ToolError::invalid(field, format!("must have 1 to {most} characters")))
}

/// A name for something new: random, and short enough to be read out.
pub(crate) fn new_id() -> String {
    format!("{:012x}", rand::random::<u64>() & 0xffff_ffff_ffff)
}

/// A moment as tools show it (RFC 3339), from milliseconds since 1970.
pub(crate) fn moment(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds).map_or_else(|_| String::new(), |time| time.to_string())
}
