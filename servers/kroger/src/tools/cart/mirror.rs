//! What was sent to a customer's cart from here. Kroger lets nobody read a cart, so this is no more than that, and it is kept for a
//! day at most, as Kroger's acceptable use policy wants it.

use portico_kit::{
    documents::{Documents, Kind},
    store::now,
    tool::ToolError,
};
use serde::{Deserialize, Serialize};

use crate::{
    shop::new_id,
    upstream::cart::{CartItem, Modality},
};

/// One for each user.
pub(crate) const KIND: Kind = Kind { name: "cart", most: 1 };
const ID: &str = "cart";
/// How long it is kept after the last addition, in milliseconds.
pub(crate) const LIFE: i64 = 24 * 60 * 60 * 1_000;
/// Lines at a time.
const MAX_LINES: usize = 100;

/// The mirror of one user.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Mirror {
    pub(crate) lines: Vec<Line>,
}

/// So many of a product that were sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) product_id: String,
    pub(crate) name: Option<String>,
    pub(crate) quantity: u32,
    pub(crate) modality: Modality,
    pub(crate) sent_at: i64,
    /// The attempt that sent it, until Kroger has said that it was carried out. A line that keeps one was perhaps added and perhaps not.
    pub(crate) attempt: Option<String>,
    /// The store whose prices were shown when it was sent.
    #[serde(default)]
    pub(crate) store: Option<String>,
}

/// An attempt to add, written down before it is made: whoever dies in between leaves what it may have done.
pub(crate) struct Attempt {
    id: String,
}

impl Line {
    fn is_of(&self, product_id: &str) -> bool {
        self.product_id == product_id
    }
}

/// The mirrors of all users.
pub(crate) struct Mirrors<'a> {
    pub(crate) documents: &'a Documents,
    pub(crate) user: &'a str,
}

impl Mirrors<'_> {
    /// What was sent within the last day.
    pub(crate) async fn read(&self) -> Result<Mirror, ToolError> {
        let found = self.documents.get::<Mirror>(self.user, KIND, ID).await?;
        let mut mirror = found.map(|found| found.body).unwrap_or_default();
        mirror.lines.retain(|line| line.sent_at > now() - LIFE);
        Ok(mirror)
    }

    async fn change<R>(
        &self,
        mut change: impl FnMut(&mut Mirror) -> Result<R, ToolError>,
    ) -> Result<R, ToolError> {
        let changed = self.documents.change(self.user, KIND, ID, |mirror: &mut Mirror| {
            mirror.lines.retain(|line| line.sent_at > now() - LIFE);
            change(mirror)
        });
        changed.await.map(|(_, answer)| answer)
    }

    /// Writes down that `items` are about to be sent; answers what is to be sent. With a `target` that is what is missing to that number of
    /// each, which of two calls at once only one finds missing. `store` is the one whose prices were shown.
    pub(crate) async fn begin(
        &self,
        items: &[(CartItem, Option<String>)],
        target: Option<u32>,
        store: Option<&str>,
    ) -> Result<(Attempt, Vec<CartItem>), ToolError> {
        let id = new_id();
        let line = |item: &CartItem, name: &Option<String>| Line {
            product_id: item.upc.clone(),
            name: name.clone(),
            quantity: item.quantity,
            modality: item.modality,
            sent_at: now(),
            attempt: Some(id.clone()),
            store: store.map(str::to_owned),
        };
        let begun = self.change(|mirror| {
            let mut begun = Vec::new();
            for (item, name) in items {
                let quantity =
                    target.map_or(item.quantity, |target| target.saturating_sub(mirror.quantity(&item.upc)));
                let item = CartItem { quantity, ..item.clone() };
                if quantity > 0 {
                    mirror.lines.push(line(&item, name));
                    begun.push(item);
                }
            }
            if mirror.lines.len() > MAX_LINES {
                let problem = format!("more than {MAX_LINES} lines were sent within a day; clear some first");
                return Err(ToolError::Refused(problem));
            }
            Ok(begun)
        });
        Ok((Attempt { id: id.clone() }, begun.await?))
    }

    /// Takes out everything that Kroger has taken, for an order. What may never have reached the cart stays.
    pub(crate) async fn take_sent(&self) -> Result<Vec<Line>, ToolError> {
        self.change(|mirror| {
            let (sent, unknown) =
                std::mem::take(&mut mirror.lines).into_iter().partition(|line| line.attempt.is_none());
            mirror.lines = unknown;
            Ok(sent)
        })
        .await
    }

    /// Puts lines back that were taken out.
    pub(crate) async fn put_back(&self, lines: &[Line]) -> Result<(), ToolError> {
        self.change(|mirror| {
            mirror.lines.extend(lines.iter().cloned());
            Ok(())
        })
        .await
    }

    /// Kroger has carried it out: its lines join those of the same product.
    pub(crate) async fn done(&self, attempt: &Attempt) -> Result<(), ToolError> {
        self.change(|mirror| {
            let lines = std::mem::take(&mut mirror.lines);
            let (done, mut others): (Vec<Line>, Vec<Line>) =
                lines.into_iter().partition(|line| line.attempt.as_deref() == Some(&attempt.id));
            for line in done {
                let same = |other: &&mut Line| {
                    other.attempt.is_none()
                        && other.is_of(&line.product_id)
                        && other.modality == line.modality
                };
                match others.iter_mut().find(same) {
                    Some(other) => {
                        other.quantity = other.quantity.saturating_add(line.quantity);
                        other.sent_at = line.sent_at;
                        other.store = line.store;
                    }
                    None => others.push(Line { attempt: None, ..line }),
                }
            }
            mirror.lines = others;
            Ok(())
        })
        .await
    }

    /// Kroger has refused it, so nothing was added.
    pub(crate) async fn refused(&self, attempt: &Attempt) -> Result<(), ToolError> {
        self.change(|mirror| {
            mirror.lines.retain(|line| line.attempt.as_deref() != Some(&attempt.id));
            Ok(())
        })
        .await
    }

    /// Takes a product out here, or what of it comes by `way`. Says whether there was any.
    pub(crate) async fn remove(&self, product_id: &str, way: Option<Modality>) -> Result<bool, ToolError> {
        let is_meant = |line: &Line| line.is_of(product_id) && way.is_none_or(|way| line.modality == way);
        self.change(|mirror| {
            let before = mirror.lines.len();
            mirror.lines.retain(|line| !is_meant(line));
            Ok(mirror.lines.len() < before)
        })
        .await
    }

    /// Lowers the number of a product here to `quantity`, over all its lines: what comes by `way` goes first, and of that what may never
    /// have reached the cart.
    pub(crate) async fn lower(
        &self,
        product_id: &str,
        quantity: u32,
        way: Option<Modality>,
    ) -> Result<(), ToolError> {
        self.change(|mirror| {
            let mut over = mirror.quantity(product_id).saturating_sub(quantity);
            let mut lines: Vec<&mut Line> =
                mirror.lines.iter_mut().rev().filter(|line| line.is_of(product_id)).collect();
            lines.sort_by_key(|line| (way != Some(line.modality), line.attempt.is_none()));
            for line in lines {
                let less = over.min(line.quantity);
                line.quantity -= less;
                over -= less;
            }
            mirror.lines.retain(|line| line.quantity > 0);
            Ok(())
        })
        .await
    }

    /// Empties it.
    pub(crate) async fn clear(&self) -> Result<(), ToolError> {
        self.documents.remove(self.user, KIND, ID).await.map(drop)
    }
}

impl Mirror {
    /// How many of a product were sent, as far as is known.
    pub(crate) fn quantity(&self, product_id: &str) -> u32 {
        self.lines.iter().filter(|line| line.is_of(product_id)).map(|line| line.quantity).sum()
    }

    /// How a product that was sent reaches the customer; the last one's way where there are several.
    pub(crate) fn way(&self, product_id: &str) -> Option<Modality> {
        self.lines.iter().rfind(|line| line.is_of(product_id)).map(|line| line.modality)
    }
}
