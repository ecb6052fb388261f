//! What of a list, an order or a plan can be sent to the cart, and what is left out of it and why.

use std::collections::HashMap;

use portico_kit::tool::ToolError;

use crate::{
    shop::{Products, product::refusal},
    upstream::cart::{CartItem, Modality},
};

use super::MOST;

/// A line that somebody wants sent.
pub(crate) trait Wanted {
    /// What the customer calls it.
    fn text(&self) -> &str;
    /// The product, and how many of it; nothing where none was chosen.
    fn product(&self) -> Option<(&str, u32)>;
    /// How it reaches the customer, where the line says so itself.
    fn modality(&self) -> Option<Modality> {
        None
    }
}

/// How many of each product are in the cart, as far as is known.
pub(crate) struct There(HashMap<String, u32>);

impl There {
    /// The numbers of these lines.
    pub(crate) fn of(lines: impl Iterator<Item = (String, u32)>) -> Self {
        let mut numbers: HashMap<String, u32> = HashMap::new();
        for (id, quantity) in lines {
            let number = numbers.entry(id).or_default();
            *number = number.saturating_add(quantity);
        }
        Self(numbers)
    }

    fn number(&self, id: &str) -> u32 {
        self.0.get(id).copied().unwrap_or_default()
    }
}

/// The lines that can be sent, and why the others cannot. Kroger limits a product over all lines together, with those that are there.
pub(crate) fn sorted<'a, W: Wanted>(
    wanted: &[&'a W],
    products: &Products,
    there: &There,
) -> (Vec<&'a W>, Vec<String>) {
    let total = |id: &str| {
        let same = wanted.iter().filter_map(|line| line.product()).filter(|(other, _)| *other == id);
        same.map(|(_, quantity)| quantity).fold(0, u32::saturating_add)
    };
    let (mut going, mut staying) = (Vec::new(), Vec::new());
    for line in wanted {
        let Some((id, _)) = line.product() else { continue };
        match obstacle(id, (total(id), there.number(id)), products) {
            Some(problem) => staying.push(format!("{} {problem}", line.text())),
            None => going.push(*line),
        }
    }
    (going, staying)
}

/// Refuses where no line can go, with what is against each.
pub(crate) fn not_nothing<W>(going: &[&W], staying: &[String]) -> Result<(), ToolError> {
    if going.is_empty() && !staying.is_empty() {
        let problem = format!("there is nothing to send; left out: {}", staying.join("; "));
        return Err(ToolError::Refused(problem));
    }
    Ok(())
}

fn obstacle(id: &str, (total, there): (u32, u32), products: &Products) -> Option<String> {
    let Some(product) = products.by_id.get(id) else {
        return Some("is no longer a product of Kroger".to_owned());
    };
    let too_many = || (total > MOST).then(|| format!("is wanted {total} times; {MOST} is the most"));
    let more = || {
        let problem = refusal(product, total.saturating_add(there))?;
        Some(format!("{problem}, and {there} were sent before"))
    };
    refusal(product, total).or_else(too_many).or_else(more)
}

/// What is sent for them: one line a product and way, with its name; by `way` where a line says none.
pub(crate) fn summed<W: Wanted>(
    going: &[&W],
    products: &Products,
    way: Modality,
) -> Vec<(CartItem, Option<String>)> {
    let mut items: Vec<(CartItem, Option<String>)> = Vec::new();
    for line in going {
        let Some((id, quantity)) = line.product() else { continue };
        let modality = line.modality().unwrap_or(way);
        let known = items.iter_mut().find(|(known, _)| known.upc == id && known.modality == modality);
        if let Some((known, _)) = known {
            known.quantity = known.quantity.saturating_add(quantity);
            continue;
        }
        let name = products.by_id.get(id).and_then(|product| product.description.clone());
        items.push((CartItem { upc: id.to_owned(), quantity, modality }, name));
    }
    items
}

/// What was sent and what was left out, in a sentence each.
pub(crate) fn told(count: usize, staying: &[String]) -> String {
    let left = if staying.is_empty() { String::new() } else { format!(" Left out: {}.", staying.join("; ")) };
    let products = if count == 1 { "1 product was" } else { &format!("{count} products were") };
    format!("{products} sent to your Kroger cart.{left}")
}
