// Made by `npm run build` in `ui/`; do not edit.

use crate::{Csp, Page};

/// All pages, by name.
pub static PAGES: &[Page] = &[
    Page {
        name: "cart",
        html: include_str!("../pages/cart.html"),
        csp: Csp { resource_domains: &[] },
        digest: "3bd6564846236b2277c2bc820dad724c0e1381644675eb189fa9b749dbe8c40a",
    },
    Page {
        name: "coupons",
        html: include_str!("../pages/coupons.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "5c5545ae463ac50fb07399620766692f7ceefdb5f932178cac69d6149c174708",
    },
    Page {
        name: "data-table",
        html: include_str!("../pages/data-table.html"),
        csp: Csp { resource_domains: &[] },
        digest: "cd28cde1a3e962fe2d16f36f286c68406dc7068b9b649937ec0eb3aa6ca38a6a",
    },
    Page {
        name: "form",
        html: include_str!("../pages/form.html"),
        csp: Csp { resource_domains: &[] },
        digest: "9a443c132dc48e839a8beb043893eb3c130dc620780fc061b307b857d685bf2a",
    },
    Page {
        name: "lists",
        html: include_str!("../pages/lists.html"),
        csp: Csp { resource_domains: &[] },
        digest: "76ddc68d94f157a3f8a0fb1753ff4a92d538c90d01def25b47cc556587576615",
    },
    Page {
        name: "orders",
        html: include_str!("../pages/orders.html"),
        csp: Csp { resource_domains: &[] },
        digest: "68d61edc46877676b024b7ce6c9a17cd63d070a28543d6ca20ea6ae612f960f3",
    },
    Page {
        name: "planner",
        html: include_str!("../pages/planner.html"),
        csp: Csp { resource_domains: &[] },
        digest: "ddbd1f630b70fa02ab316d6f41db38c9242d9728a7dad670d47cb4a41f2340d7",
    },
    Page {
        name: "product-grid",
        html: include_str!("../pages/product-grid.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "8c2792be308ac637991b423547e8f7ee840141a57ffdfafc754583a4941bd892",
    },
    Page {
        name: "profile",
        html: include_str!("../pages/profile.html"),
        csp: Csp { resource_domains: &[] },
        digest: "2e13fe6acb66e33c7ed93aae584d9509e471d564bdb1486fe346f3c231017d65",
    },
    Page {
        name: "store-map",
        html: include_str!("../pages/store-map.html"),
        csp: Csp { resource_domains: &[] },
        digest: "eafeb5762be5e1f8da4a46ab1cdb3a0fe6403699ca185a5d91c7180f930640af",
    },
];
