//! `store_locator_advanced`: stores near a place, with the services and the hours asked for.

use jiff::Timestamp;
use portico_kit::tool::{Answer, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hours;
use crate::upstream::{
    Api, Query,
    model::{Department, Geolocation, Location},
};

const MAX_LIMIT: usize = 50;
/// Stores asked for where some of them are to be left out afterwards.
const WIDE: usize = 200;
const MAX_SERVICES: usize = 10;

/// Where to look, and for what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// Session of a signed-in customer. Look-ups of stores need none, and the answer is the same without it.
    #[serde(default, rename = "session_id")]
    _session_id: Option<String>,
    /// ZIP code, 5 digits. Either this or lat and lon.
    #[schemars(regex(pattern = "^[0-9]{5}$"))]
    zip: Option<String>,
    /// Latitude in degrees, together with lon.
    #[schemars(range(min = -90, max = 90))]
    lat: Option<f64>,
    /// Longitude in degrees, together with lat.
    #[schemars(range(min = -180, max = 180))]
    lon: Option<f64>,
    /// Miles around the place, 1 to 100.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 100))]
    radius: u32,
    /// Services that a store must all have, such as pharmacy or fuel; with `open_now` they must be open as well.
    #[serde(default)]
    #[schemars(length(max = 10))]
    services: Vec<String>,
    /// Only stores that are open now.
    #[serde(default)]
    open_now: bool,
    /// Stores to return, 1 to 50.
    #[serde(default = "ten_stores")]
    #[schemars(range(min = 1, max = 50))]
    limit: usize,
}

fn ten() -> u32 {
    10
}

fn ten_stores() -> usize {
    10
}

/// One store.
#[derive(Debug, Serialize, JsonSchema)]
struct Store {
    location_id: String,
    name: Option<String>,
    chain: Option<String>,
    address: Option<String>,
    phone: Option<String>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    /// Miles from lat and lon; missing for a ZIP code, whose middle Kroger does not tell.
    distance_miles: Option<f64>,
    /// Missing where the store's hours do not say.
    open_now: Option<bool>,
    /// Opening hours of today by the store's clock.
    hours_today: Option<String>,
    timezone: Option<String>,
    services: Vec<String>,
    /// The services that were asked for, with their own hours.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    wanted_services: Vec<Service>,
}

/// A service of a store.
#[derive(Debug, Serialize, JsonSchema)]
struct Service {
    name: Option<String>,
    /// Missing where its hours do not say.
    open_now: Option<bool>,
    /// Opening hours of today by the store's clock.
    hours_today: Option<String>,
}

impl Store {
    /// Whether it and all services asked for are open; `None` where the hours of one do not say.
    fn is_open(&self) -> Option<bool> {
        let services = self.wanted_services.iter().map(|service| service.open_now);
        let all: Vec<Option<bool>> = std::iter::once(self.open_now).chain(services).collect();
        if all.contains(&Some(false)) {
            Some(false)
        } else {
            all.into_iter().collect::<Option<Vec<_>>>().map(|_| true)
        }
    }
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Found {
    stores: Vec<Store>,
    /// Stores left out because it is not known whether they, or services asked for, are open.
    left_out_without_hours: usize,
    /// Where distances are counted from.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    /// Kroger could not be asked: the answer is so many seconds old.
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_seconds: Option<u64>,
}

/// A point.
#[derive(Debug, Serialize, JsonSchema)]
struct Origin {
    latitude: f64,
    longitude: f64,
}

pub(crate) async fn locate(api: &Api, request: Request, now: Timestamp) -> Result<Answer, ToolError> {
    check(&request)?;
    let departments = departments(api, &request.services).await?;
    let stores = api.stores(query(&request, &departments)).await?;
    let mut found = choose(&request, &stores.data.data, &departments, now);
    found.stale_seconds = stores.stale_seconds;
    Answer::new(describe(&found), &found)
}

/// The stores to show, the nearest first where that is known.
fn choose(request: &Request, stores: &[Location], departments: &[String], now: Timestamp) -> Found {
    let origin =
        request.lat.zip(request.lon).map(|(latitude, longitude)| Geolocation { latitude, longitude });
    let mut shown: Vec<Store> = stores.iter().map(|store| show(store, departments, origin, now)).collect();
    let unknown = shown.iter().filter(|store| store.is_open().is_none()).count();
    if request.open_now {
        shown.retain(|store| store.is_open() == Some(true));
    }
    if origin.is_some() {
        let far = |store: &Store| store.distance_miles.unwrap_or(f64::INFINITY);
        shown.sort_by(|a, b| far(a).total_cmp(&far(b)));
    }
    shown.truncate(request.limit);
    Found {
        stores: shown,
        left_out_without_hours: if request.open_now { unknown } else { 0 },
        origin: origin.map(|point| Origin { latitude: point.latitude, longitude: point.longitude }),
        stale_seconds: None,
    }
}

fn check(request: &Request) -> Result<(), ToolError> {
    match (&request.zip, request.lat, request.lon) {
        (Some(zip), None, None) if zip.len() == 5 && zip.bytes().all(|byte| byte.is_ascii_digit()) => {}
        (Some(_), None, None) => return Err(ToolError::invalid("zip", "must have 5 digits")),
        (None, Some(lat), Some(lon)) => check_point(lat, lon)?,
        (None, Some(_), None) => return Err(ToolError::invalid("lon", "is missing; lat needs it")),
        (None, None, Some(_)) => return Err(ToolError::invalid("lat", "is missing; lon needs it")),
        (None, None, None) => return Err(ToolError::invalid("zip", "is missing; give zip, or lat and lon")),
        (Some(_), _, _) => return Err(ToolError::invalid("zip", "cannot be combined with lat and lon")),
    }
    if !(1..=100).contains(&request.radius) {
        return Err(ToolError::invalid("radius", "must be from 1 to 100 miles"));
    }
    if !(1..=MAX_LIMIT).contains(&request.limit) {
        return Err(ToolError::invalid("limit", format!("must be from 1 to {MAX_LIMIT}")));
    }
    if request.services.len() > MAX_SERVICES {
        return Err(ToolError::invalid("services", format!("must have at most {MAX_SERVICES} entries")));
    }
    Ok(())
}

fn check_point(lat: f64, lon: f64) -> Result<(), ToolError> {
    if !(-90.0..=90.0).contains(&lat) {
        return Err(ToolError::invalid("lat", "must be from -90 to 90 degrees"));
    }
    if !(-180.0..=180.0).contains(&lon) {
        return Err(ToolError::invalid("lon", "must be from -180 to 180 degrees"));
    }
    Ok(())
}

/// The departments that each service means. Their ids are Kroger's, so its own list names them.
async fn departments(api: &Api, services: &[String]) -> Result<Vec<String>, ToolError> {
    if services.is_empty() {
        return Ok(Vec::new());
    }
    let known = api.departments().await?;
    services.iter().enumerate().map(|(index, service)| department(&known.data.data, index, service)).collect()
}

fn department(known: &[Department], index: usize, service: &str) -> Result<String, ToolError> {
    let wanted = service.trim().to_lowercase();
    let named = |test: fn(&str, &str) -> bool| {
        known.iter().find(|department| {
            department.name.as_deref().is_some_and(|name| test(&name.to_lowercase(), &wanted))
        })
    };
    // The whole name goes before a part of one: `pickup` is not `Pickup Available`.
    let found = named(|name, wanted| name == wanted)
        .or_else(|| if wanted.len() < 3 { None } else { named(|name, wanted| name.contains(wanted)) });
    found.map(|department| department.department_id.clone()).ok_or_else(|| {
        let names: Vec<&str> =
            known.iter().filter_map(|department| department.name.as_deref()).take(60).collect();
        ToolError::invalid(format!("services[{index}]"), format!("is not one of: {}", names.join(", ")))
    })
}

fn query(request: &Request, departments: &[String]) -> Query {
    let limit = if request.open_now { WIDE } else { request.limit };
    let mut query =
        vec![("filter.radiusInMiles", request.radius.to_string()), ("filter.limit", limit.to_string())];
    if let Some(zip) = &request.zip {
        query.push(("filter.zipCode.near", zip.clone()));
    }
    if let (Some(lat), Some(lon)) = (request.lat, request.lon) {
        query.push(("filter.latLong.near", format!("{lat},{lon}")));
    }
    if !departments.is_empty() {
        query.push(("filter.department", departments.join(",")));
    }
    query
}

fn show(store: &Location, wanted: &[String], origin: Option<Geolocation>, now: Timestamp) -> Store {
    let miles = origin.zip(store.geolocation).map(|(from, to)| distance(from, to));
    let hours = store.hours.as_ref();
    let zone = hours.and_then(hours::zone);
    let zone = zone.as_ref();
    let service = |department: &Department| Service {
        name: department.name.clone(),
        open_now: department.hours.as_ref().and_then(|hours| hours::is_open(hours, zone, now)),
        hours_today: department.hours.as_ref().and_then(|hours| hours::today(hours, zone, now)),
    };
    let wanted = wanted.iter().filter_map(|id| store.departments.iter().find(|one| one.department_id == *id));
    Store {
        location_id: store.location_id.clone(),
        name: store.name.clone(),
        chain: store.chain.clone(),
        address: address(store),
        phone: store.phone.clone(),
        latitude: store.geolocation.map(|point| point.latitude),
        longitude: store.geolocation.map(|point| point.longitude),
        distance_miles: miles.map(|miles| (miles * 10.0).round() / 10.0),
        open_now: hours.and_then(|hours| hours::is_open(hours, zone, now)),
        hours_today: hours.and_then(|hours| hours::today(hours, zone, now)),
        timezone: hours.and_then(|hours| hours["timezone"].as_str().map(str::to_owned)),
        services: store.departments.iter().filter_map(|department| department.name.clone()).collect(),
        wanted_services: wanted.map(service).collect(),
    }
}

fn address(store: &Location) -> Option<String> {
    let address = store.address.as_ref()?;
    let parts = [&address.address_line1, &address.city, &address.state, &address.zip_code];
    let parts: Vec<&str> =
        parts.into_iter().flatten().map(String::as_str).filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Great-circle distance in miles (haversine).
fn distance(from: Geolocation, to: Geolocation) -> f64 {
    let (south, north) = (from.latitude.to_radians(), to.latitude.to_radians());
    let up = ((north - south) / 2.0).sin();
    let along = ((to.longitude - from.longitude).to_radians() / 2.0).sin();
    2.0 * 3958.8 * (up * up + south.cos() * north.cos() * along * along).sqrt().asin()
}

fn describe(found: &Found) -> String {
    let mut lines = vec![format!("{} stores", found.stores.len())];
    lines.extend(found.stores.iter().map(line));
    if found.left_out_without_hours > 0 {
        lines.push(format!("{} stores with unknown hours were left out.", found.left_out_without_hours));
    }
    lines.join("\n")
}

fn line(store: &Store) -> String {
    let name = store.name.as_deref().unwrap_or("(no name)");
    let miles = store.distance_miles.map(|miles| format!(", {miles} mi")).unwrap_or_default();
    let services: Vec<String> = store.wanted_services.iter().map(Service::told).collect();
    format!(
        "- {name}, {}{miles}: {}{} [{}]",
        store.address.as_deref().unwrap_or("no address"),
        opening(store.open_now, store.hours_today.as_deref()),
        services.concat(),
        store.location_id
    )
}

impl Service {
    fn told(&self) -> String {
        let name = self.name.as_deref().unwrap_or("(no name)");
        format!("; {name} {}", opening(self.open_now, self.hours_today.as_deref()))
    }
}

fn opening(open_now: Option<bool>, hours_today: Option<&str>) -> String {
    match (open_now, hours_today) {
        (Some(true), Some(hours)) => format!("open now, {hours}"),
        (Some(true), None) => "open now".to_owned(),
        (Some(false), Some(hours)) => format!("closed now, {hours}"),
        (Some(false), None) => "closed now".to_owned(),
        (None, _) => "hours not given".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    /// The stores of the stand-in. That of Mason never closes; its pharmacy does at nine.
    const STORES: &str = include_str!("../../../standins/src/kroger/data/locations.json");
    const MASON: &str = "01400422";
    const PHARMACY: &str = "09";

    fn at(now: &str, hours: impl Fn(&mut Value)) -> Found {
        let mut stores: Vec<Value> = serde_json::from_str(STORES).unwrap();
        stores.retain(|store| store["locationId"] == MASON);
        let departments = stores[0]["departments"].as_array_mut().unwrap();
        hours(departments.iter_mut().find(|one| one["departmentId"] == PHARMACY).unwrap());
        let stores: Vec<Location> = serde_json::from_value(json!(stores)).unwrap();
        let request = json!({ "zip": "45249", "services": ["pharmacy"], "open_now": true });
        choose(
            &serde_json::from_value(request).unwrap(),
            &stores,
            &[PHARMACY.to_owned()],
            now.parse().unwrap(),
        )
    }

    // New York is five hours behind UTC: it is the evening of a Thursday there.
    #[rstest]
    #[case::before_it_closes("2026-11-27T01:30:00Z", 1)]
    #[case::after("2026-11-27T02:30:00Z", 0)]
    fn a_service_that_is_to_be_open_is_asked_for_its_own_hours(#[case] now: &str, #[case] stores: usize) {
        let found = at(now, |_| ());
        assert_eq!((found.stores.len(), found.left_out_without_hours), (stores, 0));
        if stores > 0 {
            let told = line(&found.stores[0]);
            assert!(told.contains(": open now, open 24 hours; Pharmacy open now, 09:00-21:00 ["), "{told}");
        }
    }

    #[test]
    fn a_service_without_hours_is_left_out_and_counted() {
        let found = at("2026-11-27T01:30:00Z", |pharmacy| pharmacy["hours"] = Value::Null);
        assert_eq!((found.stores.len(), found.left_out_without_hours), (0, 1));
    }
}
