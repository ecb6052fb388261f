// Made by `npm run build` in `ui/`; do not edit.

use crate::{Csp, Page};

/// All pages, by name.
pub static PAGES: &[Page] = &[
    Page {
        name: "cart",
        html: include_str!("../pages/cart.html"),
        csp: Csp { resource_domains: &[] },
        digest: "bac8713bbc9c1bf21802417143716864ff8f6f1a8227daa007c8c74293dd7d30",
    },
    Page {
        name: "coupons",
        html: include_str!("../pages/coupons.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "4da1e61f8133c6812045d866ced1caff84f5eebb3fb9f3f4880fea9febb434fb",
    },
    Page {
        name: "data-table",
        html: include_str!("../pages/data-table.html"),
        csp: Csp { resource_domains: &[] },
        digest: "d9c222d5e3b8a6a3ad457d0094b85315450ca53a60337a574eb6e595470ca75f",
    },
    Page {
        name: "form",
        html: include_str!("../pages/form.html"),
        csp: Csp { resource_domains: &[] },
        digest: "a6ab5b53e13772fd7745d429e6ab87e8d6de45ff871888bb2e74f194198920d7",
    },
    Page {
        name: "lists",
        html: include_str!("../pages/lists.html"),
        csp: Csp { resource_domains: &[] },
        digest: "bb98fe78bbeb4840a5fab549ea8c32af11ded83c6d2d5bd3e035c5d0ed64ab1d",
    },
    Page {
        name: "orders",
        html: include_str!("../pages/orders.html"),
        csp: Csp { resource_domains: &[] },
        digest: "365e5bf3f0f2cc003a03bd849db97868ace9399607b7d11e9e031acbda614bd6",
    },
    Page {
        name: "planner",
        html: include_str!("../pages/planner.html"),
        csp: Csp { resource_domains: &[] },
        digest: "850c1e844bd56ff820c33ecf0b72aac3ab84a88bda54911a9efe146ad891ce8a",
    },
    Page {
        name: "product-grid",
        html: include_str!("../pages/product-grid.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "c78f452cce3239383b5c1603d8a8104e714b509e2e63eb31438245ad7cf7215d",
    },
    Page {
        name: "profile",
        html: include_str!("../pages/profile.html"),
        csp: Csp { resource_domains: &[] },
        digest: "d0a341b2dc539e99cffda0587c5f76f82eec21a1d39e78a65082ff576fd327b5",
    },
    Page {
        name: "store-map",
        html: include_str!("../pages/store-map.html"),
        csp: Csp { resource_domains: &[] },
        digest: "5d7b81779eef932e692db5dff0a120ad0789f54b6fc0892aa3725e99390a8086",
    },
];
