// Made by `npm run build` in `ui/`; do not edit.

use crate::{Csp, Page};

/// All pages, by name.
pub static PAGES: &[Page] = &[
    Page {
        name: "cart",
        html: include_str!("../pages/cart.html"),
        csp: Csp { resource_domains: &[] },
        digest: "bcba511d5da8b80ca44d51a2d4c05e17a50cc697cd8d22e77e1e848414068cc3",
    },
    Page {
        name: "coupons",
        html: include_str!("../pages/coupons.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "65c6096d2cb24bcc57845c18e6b5688059fe16d6e105244567017f1c2c9ba386",
    },
    Page {
        name: "data-table",
        html: include_str!("../pages/data-table.html"),
        csp: Csp { resource_domains: &[] },
        digest: "7aab522d167145e16193b2d9e507920788b531d99331d9bf36c9f248f78a18fc",
    },
    Page {
        name: "form",
        html: include_str!("../pages/form.html"),
        csp: Csp { resource_domains: &[] },
        digest: "5d2f6efa351cb6369e6c1629286ae19d33348957b1769f640ae60669828790b2",
    },
    Page {
        name: "lists",
        html: include_str!("../pages/lists.html"),
        csp: Csp { resource_domains: &[] },
        digest: "2818a832004a85ea6b054797d453fde917007a5d2b839126d795a6e68279e19a",
    },
    Page {
        name: "orders",
        html: include_str!("../pages/orders.html"),
        csp: Csp { resource_domains: &[] },
        digest: "fa0b954f27a60764403fa7fa6bdb7189c848af78f6c4a5c8a338f007dadfe057",
    },
    Page {
        name: "planner",
        html: include_str!("../pages/planner.html"),
        csp: Csp { resource_domains: &[] },
        digest: "3fe7698cea8101206cc3c45946accebf17fbd75592433bce9bfb1ba05cb2b721",
    },
    Page {
        name: "product-grid",
        html: include_str!("../pages/product-grid.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "9cde1545584bd8f3a9bbb337358da094d1130b19be4ef0255b5aaee2106ab793",
    },
    Page {
        name: "profile",
        html: include_str!("../pages/profile.html"),
        csp: Csp { resource_domains: &[] },
        digest: "5b7500250ee6ea25a3b984a4b2e8b88d084c3fbe2b9ecb3c60c07c3b937efc0f",
    },
    Page {
        name: "store-map",
        html: include_str!("../pages/store-map.html"),
        csp: Csp { resource_domains: &[] },
        digest: "fe3152229f6d586f28bbcdc995aacba92ec9568d6faa1d821e8266aa728823d9",
    },
];
