// Made by `npm run build` in `ui/`; do not edit.

use crate::{Csp, Page};

/// All pages, by name.
pub static PAGES: &[Page] = &[
    Page {
        name: "cart",
        html: include_str!("../pages/cart.html"),
        csp: Csp { resource_domains: &[] },
        digest: "df560524ba7d3a08a6e0681f22b2fad1fe345634bdc398410f145405b28cad47",
    },
    Page {
        name: "coupons",
        html: include_str!("../pages/coupons.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "d46a9dbe853c8794537590b75b5c93f3d6ac060882b227c7d3db96d773726105",
    },
    Page {
        name: "data-table",
        html: include_str!("../pages/data-table.html"),
        csp: Csp { resource_domains: &[] },
        digest: "871465fdcd03fc13228c4fbe3576acfc42e5d77fec29eb23cb7befb60b7bd56d",
    },
    Page {
        name: "form",
        html: include_str!("../pages/form.html"),
        csp: Csp { resource_domains: &[] },
        digest: "1a991f5bb2ab9e6c8ef92820fa5eef60a8410634644cd9dbbe382b56dd4a70f0",
    },
    Page {
        name: "lists",
        html: include_str!("../pages/lists.html"),
        csp: Csp { resource_domains: &[] },
        digest: "a4ecbc6f29217b99ade91fb750053ff47554b696ece6455fa9b8f78dc14d0193",
    },
    Page {
        name: "orders",
        html: include_str!("../pages/orders.html"),
        csp: Csp { resource_domains: &[] },
        digest: "41ba61232b368357ef6c9f8aa9628902743e16455300b867f9513467216724a6",
    },
    Page {
        name: "planner",
        html: include_str!("../pages/planner.html"),
        csp: Csp { resource_domains: &[] },
        digest: "902cae22d91efce09a6ab2ecb0876a11d0070b58909fae36efad9bd348c6238a",
    },
    Page {
        name: "product-grid",
        html: include_str!("../pages/product-grid.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "157cfd5da4be6938904014467a4b3c28776a11478a248ee6ada1c20d154a6c1d",
    },
    Page {
        name: "profile",
        html: include_str!("../pages/profile.html"),
        csp: Csp { resource_domains: &[] },
        digest: "5cee79b5cce5486cc8e6c953e341ec363545cda2b71b38b9f565963098247aff",
    },
    Page {
        name: "store-map",
        html: include_str!("../pages/store-map.html"),
        csp: Csp { resource_domains: &[] },
        digest: "2b013b5b720ac3c864076505cb3c1c8deab66a8837dfbe60783d4db720585caf",
    },
];
