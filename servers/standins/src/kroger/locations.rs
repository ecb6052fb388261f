//! `/v1/locations`: stores near a place, and one store by its id.

use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared,
    catalogue::{Catalogue, Location, Point, text},
    reply,
};

/// The published pages give reasons but no codes for these.
const CODE: &str = "LOCATION-400";

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Filters {
    #[serde(rename = "filter.zipCode.near")]
    zip: Option<String>,
    #[serde(rename = "filter.latLong.near")]
    lat_long: Option<String>,
    #[serde(rename = "filter.lat.near")]
    lat: Option<String>,
    #[serde(rename = "filter.lon.near")]
    lon: Option<String>,
    #[serde(rename = "filter.radiusInMiles")]
    radius: Option<String>,
    #[serde(rename = "filter.limit")]
    limit: Option<String>,
    #[serde(rename = "filter.chain")]
    chain: Option<String>,
    #[serde(rename = "filter.department")]
    departments: Option<String>,
    #[serde(rename = "filter.locationId")]
    ids: Option<String>,
}

/// Where a search starts.
#[derive(Clone, Copy)]
enum Origin {
    Anywhere,
    At(Point),
    /// A ZIP code that no store is near.
    Nowhere,
}

type Refusal = &'static str;

/// `GET /v1/locations`.
pub(crate) async fn search(State(standin): State<Shared>, Query(filters): Query<Filters>) -> Response {
    match find(&standin.catalogue, &filters) {
        Ok(response) => response,
        Err(reason) => reply::bad(CODE, reason),
    }
}

fn find(catalogue: &Catalogue, filters: &Filters) -> Result<Response, Refusal> {
    let origin = origin(catalogue, filters)?;
    let radius = radius(filters)?;
    let limit = limit(filters)?;
    let departments = departments(catalogue, filters)?;
    let ids = ids(filters)?;
    let mut found: Vec<(f64, &Location)> = catalogue
        .locations
        .iter()
        .filter(|location| filters.chain.as_ref().is_none_or(|chain| *chain == location.chain))
        .filter(|location| ids.is_empty() || ids.contains(&location.id.as_str()))
        .filter(|location| departments.iter().all(|id| location.departments.iter().any(|has| has == id)))
        .filter_map(|location| Some((distance(origin, location, radius)?, location)))
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let shown: Vec<Value> = found.iter().take(limit).map(|(_, location)| location.shown.clone()).collect();
    let meta = json!({ "pagination": { "start": 0, "limit": limit, "total": shown.len() } });
    Ok(reply::data(Value::Array(shown), meta))
}

fn distance(origin: Origin, location: &Location, radius: f64) -> Option<f64> {
    match origin {
        Origin::Anywhere => Some(0.0),
        Origin::Nowhere => None,
        Origin::At(point) => Some(point.miles_to(location.point)).filter(|miles| *miles <= radius),
    }
}

fn origin(catalogue: &Catalogue, filters: &Filters) -> Result<Origin, Refusal> {
    match (&filters.zip, &filters.lat_long, &filters.lat, &filters.lon) {
        (None, None, None, None) => Ok(Origin::Anywhere),
        (Some(zip), None, None, None) => near_zip(catalogue, zip),
        (None, Some(pair), None, None) => {
            let (lat, lon) = pair.split_once(',').ok_or(NOT_ON_EARTH)?;
            point(lat, lon).map(Origin::At)
        }
        (None, None, Some(lat), Some(lon)) => point(lat, lon).map(Origin::At),
        _ => Err("Only one starting point is allowed, and filter.lat.near needs filter.lon.near"),
    }
}

const NOT_ON_EARTH: &str = "Field 'filter.latLong.near' improper coordinate location, must be on Earth";

fn near_zip(catalogue: &Catalogue, zip: &str) -> Result<Origin, Refusal> {
    if zip.len() != 5 || !zip.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("Field 'filter.zipCode.near' must 5 digits");
    }
    Ok(catalogue.zips.get(zip).map_or(Origin::Nowhere, |point| Origin::At(*point)))
}

fn point(lat: &str, lon: &str) -> Result<Point, Refusal> {
    let number = |text: &str| text.trim().parse::<f64>().map_err(|_| NOT_ON_EARTH);
    let (latitude, longitude) = (number(lat)?, number(lon)?);
    if latitude.abs() <= 90.0 && longitude.abs() <= 180.0 {
        return Ok(Point { latitude, longitude });
    }
    Err(NOT_ON_EARTH)
}

/// A number within bounds; 0 counts as none given.
fn bounded(text: Option<&str>, max: u32, default: u32, reason: Refusal) -> Result<u32, Refusal> {
    let Some(text) = text else { return Ok(default) };
    match text.parse::<u32>() {
        Ok(0) => Ok(default),
        Ok(number) if number <= max => Ok(number),
        _ => Err(reason),
    }
}

fn radius(filters: &Filters) -> Result<f64, Refusal> {
    let reason = "Field 'filter.radiusInMiles' outside of distance limits, distance range is 1 - 100 miles.";
    bounded(filters.radius.as_deref(), 100, 10, reason).map(f64::from)
}

fn limit(filters: &Filters) -> Result<usize, Refusal> {
    let reason = "Field 'limit' must be a number between 1 and 200 (inclusive)";
    bounded(filters.limit.as_deref(), 200, 10, reason).map(|limit| limit as usize)
}

fn departments<'a>(catalogue: &Catalogue, filters: &'a Filters) -> Result<Vec<&'a str>, Refusal> {
    let ids: Vec<&str> = list(filters.departments.as_deref());
    let known =
        |id: &&str| catalogue.departments.iter().any(|department| text(department, "departmentId") == *id);
    if ids.iter().all(known) {
        return Ok(ids);
    }
    Err("Field 'filter.department' contains invalid department ID(s)")
}

fn ids(filters: &Filters) -> Result<Vec<&str>, Refusal> {
    let ids = list(filters.ids.as_deref());
    if ids.iter().all(|id| id.len() == 8) {
        return Ok(ids);
    }
    Err("Field 'locationId' must have a length of 8 characters")
}

fn list(text: Option<&str>) -> Vec<&str> {
    text.unwrap_or_default().split(',').filter(|part| !part.is_empty()).collect()
}

/// `GET /v1/locations/{id}`.
pub(crate) async fn detail(State(standin): State<Shared>, Path(id): Path<String>) -> Response {
    if id.len() != 8 {
        return reply::bad(CODE, "Field 'locationId' must have a length of 8 characters");
    }
    let location = standin.catalogue.locations.iter().find(|location| location.id == id);
    location.map_or_else(
        || reply::empty(StatusCode::NOT_FOUND),
        |location| reply::data(location.shown.clone(), json!({})),
    )
}

/// `HEAD /v1/locations/{id}`.
pub(crate) async fn exists(State(standin): State<Shared>, Path(id): Path<String>) -> StatusCode {
    if standin.catalogue.has_location(&id) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}
