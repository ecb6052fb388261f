// Made by `npm run build` in `ui/`; do not edit.

use crate::{Csp, Page};

/// All pages, by name.
pub static PAGES: &[Page] = &[
    Page {
        name: "product-grid",
        html: include_str!("../pages/product-grid.html"),
        csp: Csp { resource_domains: &["https://www.kroger.com"] },
        digest: "d37a30c954fc5c6498fc67a7d08692b27810c16ba5cf4b8841ddc6cf0cc672a1",
    },
];
