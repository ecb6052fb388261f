// Made by `npm run build` in `ui/`; do not edit.

use crate::{Csp, Page};

/// All pages, by name.
pub static PAGES: &[Page] = &[
    Page {
        name: "cart",
        html: include_str!("../pages/cart.html"),
        csp: Csp { resource_domains: &[] },
        digest: "d505c15fc2c359ab1588b479d363091f66e2b59f47978e75eae6adfec6b32421",
    },
    Page {
        name: "coupons",
        html: include_str!("../pages/coupons.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "31b28f1db7f5b532f3155c83ec76f1a8ad154c4cea50cd01b95d5f17b9b5ea55",
    },
    Page {
        name: "data-table",
        html: include_str!("../pages/data-table.html"),
        csp: Csp { resource_domains: &[] },
        digest: "45664f2fd595c259a1bf15c562fa2d4df67ef1b285bfb0e8f2fdef1b9e64e002",
    },
    Page {
        name: "form",
        html: include_str!("../pages/form.html"),
        csp: Csp { resource_domains: &[] },
        digest: "9e1224e7a6c88fe11c59fe4648d4acfd05fe5a500c8dc3ab9bc245f724fb103e",
    },
    Page {
        name: "lists",
        html: include_str!("../pages/lists.html"),
        csp: Csp { resource_domains: &[] },
        digest: "3396058db76df16294a4961751936508d744c901f1ed80a5b18725250d80c9ce",
    },
    Page {
        name: "orders",
        html: include_str!("../pages/orders.html"),
        csp: Csp { resource_domains: &[] },
        digest: "24b6a101c8d5f807c41dc053bd973b76d33d220b741590d821cbe61008613249",
    },
    Page {
        name: "planner",
        html: include_str!("../pages/planner.html"),
        csp: Csp { resource_domains: &[] },
        digest: "e744c87c36b02241ed01e2b112c678bd4f992fdcfa27391c1dedd75477ab150a",
    },
    Page {
        name: "product-grid",
        html: include_str!("../pages/product-grid.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "d90acd8ed78429a34ef09421615fb1f0be39745d382bdfc9ca05631974043b76",
    },
    Page {
        name: "profile",
        html: include_str!("../pages/profile.html"),
        csp: Csp { resource_domains: &[] },
        digest: "0b2240dee08b03e33122144efb9187d07e29066449eb794cbf90fa969ff7210a",
    },
    Page {
        name: "store-map",
        html: include_str!("../pages/store-map.html"),
        csp: Csp { resource_domains: &[] },
        digest: "d5f402996c78d87cfa25e5b3e399d0dbb439ef5ae552a15cf24ec272e17ac9e4",
    },
];
