//! The made-up stores and products.

use std::collections::HashMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

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
    pub(crate) coupons: Vec<Coupon>,
}

/// One coupon of the stand-in's own contract. Its end is told in days from the start of the program, so that the data
/// never grows old.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Coupon {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) category: String,
    /// Dollars off.
    pub(crate) value: Option<f64>,
    /// Negative: it has ended.
    pub(crate) days: i64,
    pub(crate) product_ids: Vec<String>,
}

impl Catalogue {
    pub(crate) fn load() -> Result<Self, Error> {
        let locations: Vec<Value> = read("locations.json", include_str!("data/locations.json"))?;
        let products: Vec<Value> = read("products.json", include_str!("data/products.json"))?;
        Ok(Self {
            products: products.into_iter().map(with_images).collect(),
            locations: locations.into_iter().map(location).collect::<Result<_, _>>()?,
            chains: read("chains.json", include_str!("data/chains.json"))?,
            departments: read("departments.json", include_str!("data/departments.json"))?,
            zips: read("zips.json", include_str!("data/zips.json"))?,
            coupons: read("coupons.json", include_str!("data/coupons.json"))?,
        })
    }

    pub(crate) fn product(&self, id: &str) -> Option<&Value> {
        self.products.iter().find(|product| text(product, "productId") == id)
    }

    pub(crate) fn has_location(&self, id: &str) -> bool {
        self.locations.iter().any(|location| location.id == id)
    }
}

fn read<T: DeserializeOwned>(file: &'static str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|source| Error::Data { file, source })
}

/// Images differ in the product's id alone, so the file leaves them out: 25 addresses a product are most of a real answer.
fn with_images(mut product: Value) -> Value {
    let id = text(&product, "productId").to_owned();
    let images = ["front", "back", "left", "right", "top"].map(|perspective| {
        let sizes = ["xlarge", "large", "medium", "small", "thumbnail"].map(|size| {
            let url = format!("https://www.kroger.com/product/images/{size}/{perspective}/{id}");
            json!({ "id": format!("{id}-{perspective}-{size}"), "size": size, "url": url })
        });
        let featured = perspective == "front";
        json!({ "id": format!("{id}-{perspective}"), "perspective": perspective, "featured": featured, "sizes": sizes })
    });
    product["images"] = Value::from(images.to_vec());
    product
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
