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
        name: "product-grid",
        html: include_str!("../pages/product-grid.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "e453af6b26d83c416df4e2197f65a37d25362f40cd7e4a12fa6a013a51060927",
    },
    Page {
        name: "store-map",
        html: include_str!("../pages/store-map.html"),
        csp: Csp { resource_domains: &[] },
        digest: "b5aa75dee2affc3b3930cf8a3528625fbc2ea2e23daf48423f9d8f1f63599a8d",
    },
];
