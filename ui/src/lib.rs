//! Pages that hosts show beside a tool's answer (MCP Apps, SEP-1865), as they were built from this folder: each is one file that needs
//! nothing else. `npm run build` makes them; whoever builds the Rust needs no Node.

mod pages;

pub use pages::PAGES;

/// What a page may load besides itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Csp {
    /// Origins of pictures.
    pub resource_domains: &'static [&'static str],
}

/// One page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Its name, such as `product-grid`.
    pub name: &'static str,
    /// The whole document.
    pub html: &'static str,
    /// What it may load.
    pub csp: Csp,
    /// SHA-256 of the document in hexadecimal.
    pub digest: &'static str,
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

    /// Largest page, in bytes.
    const LARGEST: usize = 60 * 1024;

    #[test]
    fn a_page_is_small_whole_and_has_the_digest_that_it_says() {
        for page in PAGES {
            let digest: String = Sha256::digest(page.html).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(
                digest, page.digest,
                "{}: run `npm run build` in ui/ and commit what it makes",
                page.name
            );
            assert!(page.html.len() <= LARGEST, "{}: {} bytes", page.name, page.html.len());
            for outside in ["<script src", "<link ", "@import", "eval(", "new Function"] {
                assert!(!page.html.contains(outside), "{}: {outside}", page.name);
            }
        }
    }
}
