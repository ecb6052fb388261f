// Made by `npm run build` in `ui/`; do not edit.

use crate::{Csp, Page};

/// All pages, by name.
pub static PAGES: &[Page] = &[
    Page {
        name: "cart",
        html: include_str!("../pages/cart.html"),
        csp: Csp { resource_domains: &[] },
        digest: "f6b094bf0393fa76a0d277ff862a630cbf45aa5d6d04af3c98c178e84dcc30e5",
    },
    Page {
        name: "coupons",
        html: include_str!("../pages/coupons.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "8d19ea40ffe6c1144d17e5a5a26510d0b7a6e224b096c5f747af67fde95de3b5",
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
        digest: "d95f205c927b726fb9cfa179263e426bc2eb43735dafa20933c3c4921e836d22",
    },
    Page {
        name: "orders",
        html: include_str!("../pages/orders.html"),
        csp: Csp { resource_domains: &[] },
        digest: "2f7b24170a5e6eb29d5f6341a791bd2228165581406b65aa8b4c09693b9d67d9",
    },
    Page {
        name: "planner",
        html: include_str!("../pages/planner.html"),
        csp: Csp { resource_domains: &[] },
        digest: "f20a52c2acc9ca3485439669157e0e6d179faf577787c8967bac0c4484dab892",
    },
    Page {
        name: "product-grid",
        html: include_str!("../pages/product-grid.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "f87ebb32c071019f2e8bb4dae15c8dac30fae68f9d23a9cd71e320a308b97b23",
    },
    Page {
        name: "profile",
        html: include_str!("../pages/profile.html"),
        csp: Csp { resource_domains: &[] },
        digest: "8cb56ede9e3da1ec3066ce9a8587b17991320e582a74c085538ae29e20360849",
    },
    Page {
        name: "store-map",
        html: include_str!("../pages/store-map.html"),
        csp: Csp { resource_domains: &[] },
        digest: "fe3152229f6d586f28bbcdc995aacba92ec9568d6faa1d821e8266aa728823d9",
    },
];
