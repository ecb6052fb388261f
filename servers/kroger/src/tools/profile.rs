//! `user_profile`: what the user prefers, and everything that is kept of the user, to take along or to delete. Kroger's own profile is
//! one opaque id: what it does not tell, such as loyalty points, is absent here.

use portico_kit::{
    documents::Kind,
    tool::{Answer, ToolError},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::notices;
use crate::{
    account::{Link, Who},
    config::is_location,
    shop::{Shop, check_text, money::Money},
    upstream::cart::Modality,
};

/// One for each user.
pub(crate) const KIND: Kind = Kind { name: "preferences", most: 1 };
pub(crate) const ID: &str = "preferences";

/// What to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// Show it.
    #[default]
    View,
    /// Set the preferences that are given; null takes one back.
    Update,
    /// Everything that is kept of you.
    Export,
    /// Delete all that is kept of you, and end all your sessions. Needs confirm.
    Delete,
}

/// A diet that meal plans keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Diet {
    Vegetarian,
    Vegan,
    GlutenFree,
    DairyFree,
    NutFree,
    Organic,
}

/// How goods are to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fulfillment {
    Pickup,
    Delivery,
    InStore,
}

/// What the user wants to be told when looking at the profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Notices {
    /// Products of your lists that have become cheaper.
    pub(crate) price_drops: bool,
    /// Sales of products on your lists that are about to end; with a partner's rights coupons as well.
    pub(crate) coupons: bool,
}

/// What the user prefers. All of it is the user's own word.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Preferences {
    /// Store, 8 characters: its prices are shown where a call names none.
    pub(crate) location_id: Option<String>,
    /// How you call it.
    pub(crate) store_name: Option<String>,
    pub(crate) diets: Vec<Diet>,
    /// US dollars a week for meals.
    pub(crate) weekly_budget: Option<Money>,
    /// People who eat along, 1 to 20: the servings of a meal that names none.
    pub(crate) household_size: Option<u32>,
    /// How what you add to the cart, and what lists and plans send there, is to reach you. Kroger's cart knows pickup and delivery.
    pub(crate) fulfillment: Option<Fulfillment>,
    /// Language of the pages, such as en or es; that of the program that shows them where it is missing.
    pub(crate) locale: Option<String>,
    pub(crate) notices: Notices,
}

impl Preferences {
    /// How what is sent to the cart reaches the user. Kroger's cart has no way for who shops in the store.
    pub(crate) fn modality(&self) -> Modality {
        if self.fulfillment == Some(Fulfillment::Delivery) { Modality::Delivery } else { Modality::Pickup }
    }
}

/// What to do with the profile.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// Session of the signed-in customer; not needed where the gateway says who asks.
    #[serde(default, rename = "session_id")]
    _session_id: Option<String>,
    #[serde(default)]
    action: Action,
    /// For update: those that change. Members that are left out stay, also within notices.
    #[schemars(with = "Option<Preferences>")]
    preferences: Option<serde_json::Map<String, Value>>,
    /// For delete: true says that you mean it.
    #[serde(default)]
    confirm: bool,
}

/// The profile.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Profile {
    /// Whether it is known who you are.
    signed_in: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sign_in_url: Option<String>,
    /// Whether a Kroger account is linked.
    account: Link,
    preferences: Preferences,
    /// Devices with a session of yours.
    devices: u32,
    /// Kroger tells nobody of loyalty points: always null.
    loyalty: Option<()>,
    /// What you wanted to be told.
    notices: Vec<String>,
    notes: Vec<String>,
    /// For export: everything that is kept of you.
    #[serde(skip_serializing_if = "Option::is_none")]
    export: Option<Value>,
    /// For delete: what was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<Value>,
}

pub(crate) async fn manage(shop: &Shop, who: &Who, request: Request) -> Result<Answer, ToolError> {
    let profile = match request.action {
        Action::View => view(shop, who).await?,
        Action::Update => {
            let given = request.preferences.filter(|given| !given.is_empty());
            let given = given
                .ok_or_else(|| ToolError::invalid("preferences", "is missing; update needs at least one"))?;
            update(shop, who, &given).await?
        }
        Action::Export => {
            let user = who.user("an export")?;
            let export = Some(shop.person.export(&user.id).await?);
            Profile { export, ..view(shop, who).await? }
        }
        Action::Delete => delete(shop, who, request.confirm).await?,
    };
    Answer::new(describe(&profile), &profile)
}

async fn view(shop: &Shop, who: &Who) -> Result<Profile, ToolError> {
    let mut profile = Profile {
        signed_in: who.user.is_some(),
        sign_in_url: who.sign_in_url.clone(),
        account: Link::Absent,
        preferences: Preferences::default(),
        devices: 0,
        loyalty: None,
        notices: Vec::new(),
        notes: vec!["Kroger tells this application no name, address, loyalty card or points.".to_owned()],
        export: None,
        deleted: None,
    };
    if let Some(user) = &who.user {
        match shop.preferences(&user.id).await {
            Ok(preferences) => profile.preferences = preferences,
            Err(ToolError::Refused(problem)) => profile.notes.push(problem),
            Err(error) => return Err(error),
        }
        (profile.account, profile.devices) = shop.accounts.state(user).await?;
        // Whoever is signed in has no use for it, and somebody else might.
        profile.sign_in_url = profile.sign_in_url.filter(|_| profile.account == Link::Absent);
        profile.notices = notices::of(shop, who, user, &profile.preferences).await?;
        if !shop.documents.is_lasting() {
            profile.notes.push(
                "What you keep here is lost when this server stops: it has no database (DATABASE_URL)."
                    .to_owned(),
            );
        }
    }
    Ok(profile)
}

async fn update(
    shop: &Shop,
    who: &Who,
    given: &serde_json::Map<String, Value>,
) -> Result<Profile, ToolError> {
    let user = who.user("a profile")?;
    let store = given.get("location_id").and_then(Value::as_str).filter(|id| is_location(id));
    shop.check_store(store, "preferences.location_id").await?;
    let changed = shop.documents.change(&user.id, KIND, ID, |preferences: &mut Preferences| {
        *preferences = merged(preferences, given)?;
        Ok(())
    });
    changed.await?;
    view(shop, who).await
}

/// The preferences with those that are given.
fn merged(
    preferences: &Preferences,
    given: &serde_json::Map<String, Value>,
) -> Result<Preferences, ToolError> {
    let before = serde_json::to_value(preferences).map_err(|error| ToolError::Internal(error.to_string()))?;
    let Value::Object(mut all) = before else {
        return Err(ToolError::Internal("preferences are no object".to_owned()));
    };
    // Another store has another name.
    if given.get("location_id").is_some_and(|id| Some(id) != all.get("location_id")) {
        all.insert("store_name".to_owned(), Value::Null);
    }
    for (name, value) in given {
        if !all.contains_key(name) {
            let known: Vec<&str> = all.keys().map(String::as_str).collect();
            return Err(ToolError::invalid(
                format!("preferences.{name}"),
                format!("is not one of: {}", known.join(", ")),
            ));
        }
        put(&mut all, name, value);
    }
    // Null takes a preference back.
    all.retain(|_, value| !value.is_null());
    let mut new: Preferences = portico_kit::tool::arguments(Some(all)).map_err(within)?;
    check(&mut new)?;
    Ok(new)
}

/// Sets a preference; of one that has members those that are given, where null takes one back.
fn put(all: &mut serde_json::Map<String, Value>, name: &str, value: &Value) {
    if let (Some(Value::Object(kept)), Value::Object(given)) = (all.get_mut(name), value) {
        kept.extend(given.clone());
        kept.retain(|_, value| !value.is_null());
        return;
    }
    all.insert(name.to_owned(), value.clone());
}

fn within(error: ToolError) -> ToolError {
    match error {
        ToolError::Invalid { field, problem } => ToolError::invalid(format!("preferences.{field}"), problem),
        other => other,
    }
}

fn check(preferences: &mut Preferences) -> Result<(), ToolError> {
    if preferences.location_id.as_deref().is_some_and(|id| !is_location(id)) {
        return Err(ToolError::invalid(
            "preferences.location_id",
            "must have 8 letters or digits, such as 01400376",
        ));
    }
    if let Some(name) = &preferences.store_name {
        preferences.store_name = Some(check_text(name, "preferences.store_name", 100)?);
    }
    if preferences.household_size.is_some_and(|size| !(1..=20).contains(&size)) {
        return Err(ToolError::invalid("preferences.household_size", "must be from 1 to 20"));
    }
    if preferences
        .locale
        .as_deref()
        .is_some_and(|locale| !(2..=35).contains(&locale.len()) || !locale.is_ascii())
    {
        return Err(ToolError::invalid("preferences.locale", "must be a language such as en, es, fr or de"));
    }
    preferences.diets.sort();
    preferences.diets.dedup();
    Ok(())
}

async fn delete(shop: &Shop, who: &Who, confirm: bool) -> Result<Profile, ToolError> {
    let user = who.user("a profile")?;
    if !confirm {
        let problem =
            "must be true: this deletes lists, plans, orders, preferences and sessions, and cannot be undone";
        return Err(ToolError::invalid("confirm", problem));
    }
    let is_of_browsers = shop.accounts.is_of_browsers(user).await?;
    let deletion = shop.person.delete(&user.id).await?;
    let deletion = deletion.rows.into_iter().map(|(name, count)| (name.to_owned(), Value::from(count)));
    // Links from before lead nowhere. Whom the browser alone knew is nobody now and begins anew; whom the gateway vouches for stays.
    let again = shop.accounts.who((!is_of_browsers).then(|| user.clone()))?;
    let nobody = Who { user: None, ..again };
    Ok(Profile { deleted: Some(Value::Object(deletion.collect())), ..view(shop, &nobody).await? })
}

fn describe(profile: &Profile) -> String {
    if let Some(deleted) = &profile.deleted {
        return format!(
            "Everything that was kept of you is deleted: {deleted}. To cut the link to Kroger as well, remove the application in your Kroger account."
        );
    }
    if !profile.signed_in {
        let place = profile.sign_in_url.as_ref().map(|url| format!(" Sign in at {url}.")).unwrap_or_default();
        return format!("It is not known who you are.{place}");
    }
    let preferences = serde_json::to_string(&profile.preferences).unwrap_or_default();
    let linked = if profile.account == Link::Linked { "linked" } else { "not linked" };
    let mut lines = vec![format!(
        "Kroger account {linked}; {} devices signed in. Preferences: {preferences}",
        profile.devices
    )];
    lines.extend(profile.notices.iter().cloned());
    lines.extend(profile.notes.iter().cloned());
    if profile.export.is_some() {
        lines.push("The export is in the structured content.".to_owned());
    }
    lines.join("\n")
}
