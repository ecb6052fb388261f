//! Lists and their items as they are kept.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::shop::money::Money;

/// A list as it is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct List {
    pub(super) name: String,
    pub(super) items: Vec<Item>,
}

/// An item as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) text: String,
    /// Whether the text is the product's name, and so another one's when the product changes.
    #[serde(default)]
    pub(super) is_named_by_product: bool,
    pub(super) quantity: u32,
    pub(super) checked: bool,
    pub(super) product_id: Option<String>,
    /// What the product cost when it was put here, so that a drop can be told.
    #[serde(default)]
    pub(super) price_then: Option<Money>,
    /// The store of that price: another store's says nothing.
    #[serde(default)]
    pub(super) price_at: Option<String>,
}

impl Item {
    /// Whether it stands for a product that is still to be bought.
    pub(super) fn is_open(&self) -> bool {
        !self.checked && self.product_id.is_some()
    }

    /// What the product has become cheaper by at the store where its price was noted.
    pub(super) fn dropped_by(&self, store: Option<&str>, now: Option<Money>) -> Option<Money> {
        let same = store.is_some() && self.price_at.as_deref() == store;
        let drop = self.price_then.filter(|_| same)?.less(now?)?;
        (!drop.is_zero()).then_some(drop)
    }
}

/// The products that items stand for, each once and at most so many, those of open items first; and how many were left out.
pub(super) fn products_of<'a>(items: impl Iterator<Item = &'a Item>, most: usize) -> (Vec<&'a str>, usize) {
    let (open, others): (Vec<&Item>, Vec<&Item>) = items.partition(|item| item.is_open());
    let mut seen = HashSet::new();
    let all = open.into_iter().chain(others).filter_map(|item| item.product_id.as_deref());
    let mut ids: Vec<&str> = all.filter(|id| seen.insert(*id)).collect();
    let left_out = ids.len().saturating_sub(most);
    ids.truncate(most);
    (ids, left_out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(product: &str, checked: bool) -> Item {
        let item = json!({ "id": product, "text": product, "quantity": 1, "checked": checked, "product_id": product });
        serde_json::from_value(item).unwrap()
    }

    #[test]
    fn what_is_still_to_be_bought_goes_before_what_is_checked() {
        let mut items: Vec<Item> = (0..60).map(|number| item(&format!("bought {number}"), true)).collect();
        items.push(item("milk", false));
        items.push(item("milk", false));
        let (ids, left_out) = products_of(items.iter(), 50);
        assert_eq!((ids[0], ids[1], ids.len(), left_out), ("milk", "bought 0", 50, 11));
        assert_eq!(products_of(items[..50].iter(), 50).1, 0);
    }
}
