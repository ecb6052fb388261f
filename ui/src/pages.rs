// Made by `npm run build` in `ui/`; do not edit.

use crate::{Csp, Page};

/// All pages, by name.
pub static PAGES: &[Page] = &[
    Page {
        name: "cart",
        html: include_str!("../pages/cart.html"),
        csp: Csp { resource_domains: &[] },
        digest: "c54912f1c7569493b290943555591fb6adedde096677cb773874ce0935d0ab5d",
    },
    Page {
        name: "coupons",
        html: include_str!("../pages/coupons.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "abd8dd9d463c10b474516d1efbabca24df8b231d249de2a94c2602656130c0ba",
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
        digest: "0639fc4bb07cc5dc77fc92acd5fd2f9a5edff6f5c2abb66db6fe5e002185d291",
    },
    Page {
        name: "orders",
        html: include_str!("../pages/orders.html"),
        csp: Csp { resource_domains: &[] },
        digest: "b172fdd1bb5c3cc9da9eb35637fd3726ba580195abdd882d0c347eede3705703",
    },
    Page {
        name: "planner",
        html: include_str!("../pages/planner.html"),
        csp: Csp { resource_domains: &[] },
        digest: "bcbf8fdbba7192142d34bee1fe7bff67ffb0d019f1a557180caf7276c959a3fe",
    },
    Page {
        name: "product-grid",
        html: include_str!("../pages/product-grid.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "51ab9d15e66f789886bb12c0e65ced3e994b20be3d12e29374a2ec1e3efc17e3",
    },
    Page {
        name: "profile",
        html: include_str!("../pages/profile.html"),
        csp: Csp { resource_domains: &[] },
        digest: "4a9aafca23f7208e5b0b8163dbf5a72025cfd0bfa5e534c0b01c1708df1198d9",
    },
    Page {
        name: "store-map",
        html: include_str!("../pages/store-map.html"),
        csp: Csp { resource_domains: &[] },
        digest: "8fdc2b2ad3615853abd3a221b204c936149364e602da584042528474de6a29d8",
    },
];
