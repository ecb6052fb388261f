//! Why an ingredient has no product, or its product is not sent: a code that pages translate, and words for models.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reason {
    /// The text has nothing that could be looked for.
    TooShort,
    /// The store has nothing of this name.
    NotFound,
    /// The store has only what is similar; `reason_products` names it.
    OnlySimilar,
    /// What has this name is out of stock, or may not be ordered; `reason_products` names it.
    Unavailable,
    Meat,
    Milk,
    OfAnimals,
    NotSaidVegan,
    Gluten,
    NotSaidGlutenFree,
    NotSaidDairyFree,
    Nuts,
    NotSaidNutFree,
    NotOrganic,
}

impl Reason {
    fn text(self) -> &'static str {
        match self {
            Self::TooShort => "is too short to search for",
            Self::NotFound | Self::OnlySimilar => "was not found at this store",
            Self::Unavailable => "cannot be had at this store for now",
            Self::Meat => "is meat or fish, or has some of it",
            Self::Milk => "has milk",
            Self::OfAnimals => "comes from animals",
            Self::NotSaidVegan => "is not said to be vegan",
            Self::Gluten => "has gluten",
            Self::NotSaidGlutenFree => "is not said to be free of gluten",
            Self::NotSaidDairyFree => "is not said to be free of milk",
            Self::Nuts => "has nuts",
            Self::NotSaidNutFree => "is not said to be free of nuts",
            Self::NotOrganic => "is not organic",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}
