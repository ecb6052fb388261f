//! Interface components: pages that hosts of MCP Apps (SEP-1865, revision 2026-01-26) show for a tool's answer.
//!
//! The pages are written in TypeScript beside this crate and built by `npm run build` into `pages/`, which is committed:
//! whoever builds the servers needs no Node.js. Each page is one file that loads nothing from anywhere, save the images
//! of the origins that [`Csp`] names.

mod pages;

pub use pages::PAGES;

/// The media type of a page (SEP-1865). There is no space in it.
pub const MEDIA_TYPE: &str = "text/html;profile=mcp-app";

/// One page. It holds no data of anybody: the same file serves all, and may be kept for as long as its digest stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Its name, such as `product-grid`.
    pub name: &'static str,
    /// The whole HTML document, at most 64 KiB.
    pub html: &'static str,
    /// What it may load.
    pub csp: Csp,
    /// SHA-256 of `html` in lower-case hexadecimal: good as an `ETag`.
    pub digest: &'static str,
}

/// What a page may load, for `_meta.ui.csp` of its resource (SEP-1865). It connects to nothing and frames nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Csp {
    /// Origins of images: `resourceDomains`. A host may refuse them; the page then draws a picture of its own.
    pub resource_domains: &'static [&'static str],
}

/// The page of that name.
#[must_use]
pub fn page(name: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.name == name)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    const NAMES: [&str; 10] = [
        "cart",
        "coupons",
        "data-table",
        "form",
        "lists",
        "orders",
        "planner",
        "product-grid",
        "profile",
        "store-map",
    ];

    #[test]
    fn every_page_is_found_by_its_name() {
        assert_eq!(PAGES.iter().map(|page| page.name).collect::<Vec<_>>(), NAMES);
        for name in NAMES {
            assert_eq!(page(name).unwrap().name, name);
        }
        assert_eq!(page("elsewhere"), None);
    }

    #[test]
    fn a_digest_is_that_of_the_page() {
        for page in PAGES {
            let digest: String = Sha256::digest(page.html).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(page.digest, digest, "{}: run `npm run build` in ui/", page.name);
        }
    }

    #[test]
    fn a_page_stands_alone_and_is_small() {
        for page in PAGES {
            assert!(page.html.starts_with("<!doctype html>"), "{}", page.name);
            assert!(page.html.len() <= 64 * 1024, "{} has {} bytes", page.name, page.html.len());
            for outside in [" src=\"", " href=\"", "@import", "sourceMappingURL", "import("] {
                assert!(!page.html.contains(outside), "{} has {outside}", page.name);
            }
            for origin in page.csp.resource_domains {
                assert!(page.html.contains(origin), "{} never uses {origin}", page.name);
            }
        }
    }
}
