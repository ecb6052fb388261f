//! The made-up stores and products.

use std::collections::HashMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::Error;

/// A place on Earth, in degrees.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Point {
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
}

impl Point {
    /// Great-circle distance in miles (haversine).
    pub(crate) fn miles_to(self, other: Self) -> f64 {
        let (from, to) = (self.latitude.to_radians(), other.latitude.to_radians());
        let north = ((to - from) / 2.0).sin();
        let east = ((other.longitude - self.longitude).to_radians() / 2.0).sin();
        let chord = north.mul_add(north, from.cos() * to.cos() * east * east);
        2.0 * 3958.8 * chord.sqrt().asin()
    }
}

/// One store: what the API shows of it, and where it is.
pub(crate) struct Location {
    pub(crate) id: String,
    pub(crate) chain: String,
    pub(crate) point: Point,
    pub(crate) departments: Vec<String>,
    pub(crate) shown: Value,
}

pub(crate) struct Catalogue {
    pub(crate) products: Vec<Value>,
    pub(crate) locations: Vec<Location>,
    pub(crate) chains: Vec<Value>,
    pub(crate) departments: Vec<Value>,
    pub(crate) zips: HashMap<String, Point>,
}

impl Catalogue {
    pub(crate) fn load() -> Result<Self, Error> {
        let locations: Vec<Value> = read("locations.json", include_str!("data/locations.json"))?;
        Ok(Self {
            products: read("products.json", include_str!("data/products.json"))?,
            locations: locations.into_iter().map(location).collect::<Result<_, _>>()?,
            chains: read("chains.json", include_str!("data/chains.json"))?,
            departments: read("departments.json", include_str!("data/departments.json"))?,
            zips: read("zips.json", include_str!("data/zips.json"))?,
        })
    }

    pub(crate) fn has_location(&self, id: &str) -> bool {
        self.locations.iter().any(|location| location.id == id)
    }
}

fn read<T: DeserializeOwned>(file: &'static str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|source| Error::Data { file, source })
}

fn location(shown: Value) -> Result<Location, Error> {
    let point = Point::deserialize(&shown["geolocation"])
        .map_err(|source| Error::Data { file: "locations.json", source })?;
    let departments = shown["departments"].as_array().into_iter().flatten();
    Ok(Location {
        id: text(&shown, "locationId").to_owned(),
        chain: text(&shown, "chain").to_owned(),
        point,
        departments: departments.map(|department| text(department, "departmentId").to_owned()).collect(),
        shown,
    })
}

/// A text field; empty where it is missing.
pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}
