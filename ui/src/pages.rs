// Made by `npm run build` in `ui/`; do not edit.

use crate::{Csp, Page};

/// All pages, by name.
pub static PAGES: &[Page] = &[
    Page {
        name: "cart",
        html: include_str!("../pages/cart.html"),
        csp: Csp { resource_domains: &[] },
        digest: "6476bcc573aa226313c24dc970307b8ae68c1453382247997da6332bee2c2c71",
    },
    Page {
        name: "coupons",
        html: include_str!("../pages/coupons.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "d6922f7a031c90379509a301172d967f4de23b47d20bb0243d0af4e6af931afa",
    },
    Page {
        name: "data-table",
        html: include_str!("../pages/data-table.html"),
        csp: Csp { resource_domains: &[] },
        digest: "9dc2579f4e2fab5a41c727220503086d83eeba4118ab1e967045d2674ca1f9a5",
    },
    Page {
        name: "form",
        html: include_str!("../pages/form.html"),
        csp: Csp { resource_domains: &[] },
        digest: "1de953f4d04c759771030eba06fca1f50c5c3f5e7160a71e2417ef1e5042c6de",
    },
    Page {
        name: "lists",
        html: include_str!("../pages/lists.html"),
        csp: Csp { resource_domains: &[] },
        digest: "45de57b80304cd04b5a9fc67cc16010245899d807c4e761b0507c71d6833ff2f",
    },
    Page {
        name: "orders",
        html: include_str!("../pages/orders.html"),
        csp: Csp { resource_domains: &[] },
        digest: "80e944062dcdb79a205b9118720915aa17e75a7b246579aae0eb5a0453887713",
    },
    Page {
        name: "planner",
        html: include_str!("../pages/planner.html"),
        csp: Csp { resource_domains: &[] },
        digest: "3637e33b6444e3b475976c3b238c7288704e64f849f7ded19dec39fa6730dbe8",
    },
    Page {
        name: "product-grid",
        html: include_str!("../pages/product-grid.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "0a02adf57fd1a4534b9ddc4f9d7517a805484f5db7826f70c35c03cb0c4fbd15",
    },
    Page {
        name: "profile",
        html: include_str!("../pages/profile.html"),
        csp: Csp { resource_domains: &[] },
        digest: "f14314393a13960167058c01a245566227630e5c9ca3a667eb3881a3ff46ed25",
    },
    Page {
        name: "store-map",
        html: include_str!("../pages/store-map.html"),
        csp: Csp { resource_domains: &[] },
        digest: "171bd993c766152417c67ed033378ca97f605b2293004877b2488de8a4b77e7d",
    },
];
