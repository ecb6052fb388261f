//! What the shop does, as numbers for those who run it. None of them tells of anybody.

use portico_kit::{Counter, Metrics};

/// Counters of the server's own.
pub(crate) struct Counts {
    /// Pieces that Kroger has taken into carts.
    pub(crate) cart_items: Counter,
    /// Additions of which it is not known whether Kroger took them.
    pub(crate) cart_unknown: Counter,
    /// Coupons clipped.
    pub(crate) coupons_clipped: Counter,
    /// Carts marked as ordered.
    pub(crate) orders_marked: Counter,
    /// What sales saved in these, in cents.
    pub(crate) saved_cents: Counter,
    /// Ingredients of meal plans for which a product was found.
    pub(crate) ingredients_matched: Counter,
}

impl Counts {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            cart_items: metrics.counter("kroger_cart_items", "Pieces that Kroger has taken into carts"),
            cart_unknown: metrics.counter(
                "kroger_cart_unknown",
                "Additions of which it is not known whether Kroger took them",
            ),
            coupons_clipped: metrics.counter("kroger_coupons_clipped", "Coupons clipped"),
            orders_marked: metrics.counter("kroger_orders_marked", "Carts marked as ordered"),
            saved_cents: metrics
                .counter("kroger_saved_cents", "What sales saved in carts marked as ordered, in cents"),
            ingredients_matched: metrics
                .counter("kroger_ingredients_matched", "Ingredients for which a product was found"),
        }
    }
}
