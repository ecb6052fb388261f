// Made by `npm run build` in `ui/`; do not edit.

use crate::{Csp, Page};

/// All pages, by name.
pub static PAGES: &[Page] = &[
    Page {
        name: "cart",
        html: include_str!("../pages/cart.html"),
        csp: Csp { resource_domains: &[] },
        digest: "f5b2e40313e621483ee4392d664b091d26e57f1ab9644c7da5c0324a3786d973",
    },
    Page {
        name: "coupons",
        html: include_str!("../pages/coupons.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "9a6e1d4d283b914367844d7972b3b124e4d75eafe5d09ad71fc03edc516f7ec4",
    },
    Page {
        name: "lists",
        html: include_str!("../pages/lists.html"),
        csp: Csp { resource_domains: &[] },
        digest: "93414c2e755a9a71aef61fe08c3b39c90aaa7469c69e157a48384f9fe420580b",
    },
    Page {
        name: "orders",
        html: include_str!("../pages/orders.html"),
        csp: Csp { resource_domains: &[] },
        digest: "65052e7eaa0557b7bf341c7bd355f30b8ea5676d2c69522132d9f9e67882c131",
    },
    Page {
        name: "product-grid",
        html: include_str!("../pages/product-grid.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "e453af6b26d83c416df4e2197f65a37d25362f40cd7e4a12fa6a013a51060927",
    },
    Page {
        name: "profile",
        html: include_str!("../pages/profile.html"),
        csp: Csp { resource_domains: &[] },
        digest: "013aab11cb221c8f38c16b583dde7ac88d2075d9967a1f035fabd5e3b1b2b779",
    },
    Page {
        name: "store-map",
        html: include_str!("../pages/store-map.html"),
        csp: Csp { resource_domains: &[] },
        digest: "4c4d7dc47d51b7e07f591132c8b88bd1b654451f3f6c39b89b3ff35815dc498c",
    },
];
