// Made by `npm run build` in `ui/`; do not edit.

use crate::{Csp, Page};

/// All pages, by name.
pub static PAGES: &[Page] = &[
    Page {
        name: "cart",
        html: include_str!("../pages/cart.html"),
        csp: Csp { resource_domains: &[] },
        digest: "131710bb63b972dd69157d6c637ee17894c7ad3358edc6a559b58da1fd45231a",
    },
    Page {
        name: "coupons",
        html: include_str!("../pages/coupons.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "51a6b3903b07691f49131816fe06aa0814d6b47c4d4b23a6f0b9b8d5eead126d",
    },
    Page {
        name: "data-table",
        html: include_str!("../pages/data-table.html"),
        csp: Csp { resource_domains: &[] },
        digest: "e46bfa89615ac83c66e6a6e465270d4f6c3c7f6f48988ff1e190a4ac276d6700",
    },
    Page {
        name: "form",
        html: include_str!("../pages/form.html"),
        csp: Csp { resource_domains: &[] },
        digest: "2e874a58819377de79a79124087e7f0669017f6d69df10263f97603fe97afbee",
    },
    Page {
        name: "lists",
        html: include_str!("../pages/lists.html"),
        csp: Csp { resource_domains: &[] },
        digest: "f8ae187f74e95c1b4a5f18bc401e03388a598be2e08e9fa597c14b5ad41204de",
    },
    Page {
        name: "orders",
        html: include_str!("../pages/orders.html"),
        csp: Csp { resource_domains: &[] },
        digest: "59d2cc132b8b5ac9333203429a59bc898679ec48814bd4e3c6e0be3535fc8ead",
    },
    Page {
        name: "planner",
        html: include_str!("../pages/planner.html"),
        csp: Csp { resource_domains: &[] },
        digest: "9f2d25027170c248a71bddb28dc1ab9e402a6673bec5bcd9ad8e11692d745d3d",
    },
    Page {
        name: "product-grid",
        html: include_str!("../pages/product-grid.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "0f688705741bc5aab3d6c2493e6e033fc44601b61e7fad954a561cd1f1139410",
    },
    Page {
        name: "profile",
        html: include_str!("../pages/profile.html"),
        csp: Csp { resource_domains: &[] },
        digest: "5ea58de63074d335d4911843dc19c56a4a202081052711497593758bb2ad0f84",
    },
    Page {
        name: "store-map",
        html: include_str!("../pages/store-map.html"),
        csp: Csp { resource_domains: &[] },
        digest: "8fdc2b2ad3615853abd3a221b204c936149364e602da584042528474de6a29d8",
    },
];
