//! Features that are switched on for some, for a part, or for all, while the server runs.
//!
//! The file that `PORTICO_FLAGS_FILE` names is a JSON array of flags:
//!
//! ```json
//! [{"name": "real_time_sync_enabled", "enabled": true, "roles": ["buyer"], "percentage": 10, "environments": ["production"]}]
//! ```

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{ConfigError, Environment, Metrics, watched::Watched};

const FILE: &str = "PORTICO_FLAGS_FILE";
/// Most flags of a file, most entries of a list, and longest of all names, in bytes.
const MOST_FLAGS: usize = 1_000;
const MOST_ENTRIES: usize = 10_000;
const LONGEST: usize = 256;
/// The label of flags that nobody knows.
const UNKNOWN: &str = "unknown";

/// One flag as the file writes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flag {
    /// Its name, such as `auto_reorder_enabled`.
    pub name: String,
    /// `false` switches it off for everyone, whatever else stands here.
    pub enabled: bool,
    /// Users for whom it is on.
    #[serde(default)]
    pub users: HashSet<String>,
    /// Roles for whose users it is on.
    #[serde(default)]
    pub roles: HashSet<String>,
    /// For what part of all other users it is on, 0 to 100. The same users stay with it as the part grows, and another flag has others.
    /// Absent: nobody else where users or roles are named, and everyone where not.
    #[serde(default)]
    pub percentage: Option<f64>,
    /// Environments in which it is on; empty: all.
    #[serde(default)]
    pub environments: HashSet<String>,
}

/// For whom a flag is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Context<'a> {
    /// Who it is, where that is known. Who is not known belongs to no part but the whole.
    pub user: Option<&'a str>,
    /// The roles that they have.
    pub roles: &'a [&'a str],
}

type Flags = HashMap<String, Flag>;

/// The flags of a server. Clones share them.
#[derive(Clone)]
pub struct FeatureFlags {
    inner: Arc<Inner>,
}

struct Inner {
    defaults: &'static [(&'static str, bool)],
    file: Option<Watched<Flags>>,
    environment: String,
    metrics: Arc<Metrics>,
}

impl FeatureFlags {
    /// Reads `PORTICO_FLAGS_FILE`, which is read again within a second of a change, and `PORTICO_ENVIRONMENT` (by default
    /// `production`). `defaults` are the server's own flags and whether they are on where the file does not have them.
    pub fn from_env(
        environment: &Environment<'_>,
        defaults: &'static [(&'static str, bool)],
        metrics: &Arc<Metrics>,
    ) -> Result<Self, ConfigError> {
        let file =
            environment.text(FILE).map(|path| Watched::open("feature flags", PathBuf::from(path), parse));
        let file = file.transpose().map_err(|problem| {
            ConfigError::new(FILE, problem, "name a JSON file such as [{\"name\": \"x\", \"enabled\": true}]")
        })?;
        let environment = environment.text("PORTICO_ENVIRONMENT").unwrap_or_else(|| "production".to_owned());
        let metrics = Arc::clone(metrics);
        Ok(Self { inner: Arc::new(Inner { defaults, file, environment, metrics }) })
    }

    /// Whether a feature is on. A name that neither the file nor the server knows is off.
    #[must_use]
    pub fn is_on(&self, name: &str, context: &Context<'_>) -> bool {
        let flags = self.flags();
        let found = flags.as_ref().and_then(|flags| flags.get(name));
        let default = self.inner.defaults.iter().find(|(known, _)| *known == name).map(|(_, is_on)| *is_on);
        let is_on =
            found.map_or(default.unwrap_or(false), |flag| flag.is_on(&self.inner.environment, context));
        // A name that a caller made up must not become a label.
        let label = if found.is_some() || default.is_some() { name } else { UNKNOWN };
        self.inner.metrics.flag_evaluated(label, is_on);
        is_on
    }

    /// The names of all flags, of the server and of its file, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let own = self.inner.defaults.iter().map(|(name, _)| (*name).to_owned());
        let flags = self.flags();
        let mut names: Vec<String> =
            flags.iter().flat_map(|flags| flags.keys().cloned()).chain(own).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn flags(&self) -> Option<Arc<Flags>> {
        let changed = |flags: &Flags| {
            self.inner.metrics.flags_changed();
            tracing::warn!(flags = flags.len(), "the feature flags have changed");
        };
        self.inner.file.as_ref().map(|file| file.get(changed))
    }
}

impl Flag {
    fn is_on(&self, environment: &str, context: &Context<'_>) -> bool {
        if !self.enabled || !(self.environments.is_empty() || self.environments.contains(environment)) {
            return false;
        }
        let is_named = context.user.is_some_and(|user| self.users.contains(user))
            || context.roles.iter().any(|role| self.roles.contains(*role));
        let others = self.percentage.unwrap_or(if self.users.is_empty() && self.roles.is_empty() {
            100.0
        } else {
            0.0
        });
        is_named || place(&self.name, context.user) < others
    }

    fn check(&self) -> Result<(), String> {
        let lists = [&self.users, &self.roles, &self.environments];
        let mut texts = lists.into_iter().flatten().chain([&self.name]);
        if texts.any(|text| text.is_empty() || text.len() > LONGEST) {
            return Err(format!(
                "has a name that is not 1 to {LONGEST} bytes long, at the flag `{}`",
                shown(&self.name)
            ));
        }
        if lists.iter().any(|list| list.len() > MOST_ENTRIES) {
            return Err(format!(
                "has more than {MOST_ENTRIES} entries in a list of the flag `{}`",
                self.name
            ));
        }
        match self.percentage {
            Some(part) if !(0.0..=100.0).contains(&part) => {
                Err(format!("has a percentage that is not 0 to 100 at the flag `{}`", self.name))
            }
            _ => Ok(()),
        }
    }
}

fn shown(name: &str) -> String {
    name.chars().take(40).collect()
}

/// Where a user stands between 0 and 100 for a flag: always at the same place, and evenly spread. Who is not known stands just
/// below the end, so that nothing but the whole has them.
fn place(flag: &str, user: Option<&str>) -> f64 {
    let Some(user) = user else { return 100.0_f64.next_down() };
    let digest = Sha256::new().chain_update(flag).chain_update([0]).chain_update(user).finalize();
    let number = digest.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    f64::from(number) / (f64::from(u32::MAX) + 1.0) * 100.0
}

fn parse(text: &[u8]) -> Result<Flags, String> {
    let flags: Vec<Flag> =
        serde_json::from_slice(text).map_err(|error| format!("is no list of flags: {error}"))?;
    if flags.len() > MOST_FLAGS {
        return Err(format!("has more than {MOST_FLAGS} flags"));
    }
    let mut all = Flags::new();
    for flag in flags {
        flag.check()?;
        let name = flag.name.clone();
        if all.insert(name.clone(), flag).is_some() {
            return Err(format!("has the flag `{name}` twice"));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const DEFAULTS: &[(&str, bool)] = &[("on_by_default", true), ("off_by_default", false)];

    struct Kept {
        flags: FeatureFlags,
        metrics: Arc<Metrics>,
        folder: tempfile::TempDir,
    }

    impl Kept {
        fn new(content: &serde_json::Value) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("flags.json");
            fs::write(&path, content.to_string()).unwrap();
            let metrics = Arc::new(Metrics::default());
            let path = path.display().to_string();
            let lookup = |name: &str| match name {
                FILE => Some(path.clone()),
                "PORTICO_ENVIRONMENT" => Some("staging".to_owned()),
                _ => None,
            };
            let flags = FeatureFlags::from_env(&Environment::new(&lookup), DEFAULTS, &metrics).unwrap();
            Self { flags, metrics, folder }
        }

        fn becomes(&self, text: &str) {
            fs::write(self.folder.path().join("flags.json"), text).unwrap();
            self.flags.inner.file.as_ref().unwrap().due();
        }

        fn is_on(&self, name: &str, user: &str, roles: &[&str]) -> bool {
            let user = Some(user).filter(|user| !user.is_empty());
            self.flags.is_on(name, &Context { user, roles })
        }
    }

    #[rstest]
    #[case::everyone(json!({"enabled": true}), [true, true, true, true])]
    #[case::nobody(json!({"enabled": false, "users": ["ada"], "percentage": 100}), [false; 4])]
    #[case::a_user(json!({"enabled": true, "users": ["ada"]}), [true, false, false, false])]
    #[case::a_role(json!({"enabled": true, "roles": ["buyer"]}), [false, true, false, false])]
    #[case::either(json!({"enabled": true, "users": ["ada"], "roles": ["buyer"]}), [true, true, false, false])]
    #[case::no_part(json!({"enabled": true, "percentage": 0}), [false; 4])]
    #[case::almost_all(json!({"enabled": true, "percentage": 99.999_999}), [true, true, true, false])]
    #[case::all(json!({"enabled": true, "percentage": 100}), [true; 4])]
    #[case::a_user_and_no_part(json!({"enabled": true, "users": ["ada"], "percentage": 0}), [true, false, false, false])]
    #[case::here(json!({"enabled": true, "environments": ["staging"]}), [true; 4])]
    #[case::elsewhere(json!({"enabled": true, "users": ["ada"], "environments": ["production"]}), [false; 4])]
    fn a_flag_is_on_for_whom_it_says(#[case] mut flag: serde_json::Value, #[case] expected: [bool; 4]) {
        flag["name"] = json!("x");
        let kept = Kept::new(&json!([flag]));
        let asked = [("ada", [].as_slice()), ("bob", &["buyer", "other"]), ("eve", &[]), ("", &[])];
        assert_eq!(asked.map(|(user, roles)| kept.is_on("x", user, roles)), expected);
    }

    proptest! {
        #[test]
        fn a_user_keeps_a_feature_as_its_part_grows(user: String, flag: String, one in 0.0..=100.0, other in 0.0..=100.0) {
            let (less, more): (f64, f64) = if one < other { (one, other) } else { (other, one) };
            let on = |part: f64| place(&flag, Some(&user)) < part;
            prop_assert!(!on(less) || on(more));
            prop_assert!(on(100.0) && !on(0.0));
        }

        #[test]
        fn whatever_the_file_holds_it_is_read_or_refused(bytes: Vec<u8>) {
            prop_assert!(parse(&bytes).is_err() || bytes.trim_ascii().starts_with(b"["));
        }
    }

    #[test]
    fn a_part_of_users_is_as_large_as_it_says_and_another_for_each_flag() {
        let users: Vec<String> = (0..10_000).map(|number| format!("user-{number}")).collect();
        let with =
            |flag: &str| users.iter().filter(|user| place(flag, Some(user)) < 20.0).collect::<HashSet<_>>();
        let (one, other) = (with("one"), with("other"));
        assert!((1_800..=2_200).contains(&one.len()), "{}", one.len());
        let both = one.intersection(&other).count();
        assert!((300..=500).contains(&both), "4 percent have both: {both}");
    }

    #[test]
    fn the_file_is_read_again_and_a_broken_one_changes_nothing() {
        let kept = Kept::new(&json!([{"name": "x", "enabled": false}]));
        assert!(!kept.is_on("x", "ada", &[]));
        kept.becomes(r#"[{"name": "x", "enabled": true}]"#);
        assert!(kept.is_on("x", "ada", &[]));
        kept.becomes(r#"[{"name": "x", "enabld": false}]"#);
        assert!(kept.is_on("x", "ada", &[]));
        kept.becomes("[]");
        assert!(!kept.is_on("x", "ada", &[]));
        let shown = kept.metrics.render();
        assert!(shown.contains("portico_server_flag_changes_total 2"), "{shown}");
    }

    #[test]
    fn what_the_file_does_not_have_is_as_the_server_says_and_counted() {
        let kept = Kept::new(&json!([{"name": "own", "enabled": true}]));
        let answers = ["on_by_default", "off_by_default", "own", "made-up-by-a-caller"]
            .map(|name| kept.is_on(name, "ada", &[]));
        assert_eq!(answers, [true, false, true, false]);
        assert!(kept.is_on("own", "bob", &[]));
        assert_eq!(kept.flags.names(), ["off_by_default", "on_by_default", "own"]);
        let shown = kept.metrics.render();
        assert!(
            shown.contains(r#"portico_server_flag_evaluations_total{flag="own",result="on"} 2"#),
            "{shown}"
        );
        assert!(
            shown.contains(r#"{flag="unknown",result="off"} 1"#) && !shown.contains("made-up"),
            "{shown}"
        );
    }

    #[rstest]
    #[case(r#"{"name": "x"}"#, "no list of flags")]
    #[case(r#"[{"name": "x", "enabled": true, "user": []}]"#, "unknown field `user`")]
    #[case(r#"[{"name": "x", "enabled": true, "percentage": 101}]"#, "percentage")]
    #[case(r#"[{"name": "x", "enabled": true}, {"name": "x", "enabled": false}]"#, "`x` twice")]
    #[case(r#"[{"name": "", "enabled": true}]"#, "1 to 256 bytes")]
    fn a_mistake_in_the_file_is_told_at_the_start(#[case] text: &str, #[case] problem: &str) {
        let told = parse(text.as_bytes()).unwrap_err();
        assert!(told.contains(problem), "{told}");
    }

    #[test]
    fn a_file_that_is_not_there_is_told_by_its_variable() {
        let lookup = |name: &str| (name == FILE).then(|| "/nowhere/flags.json".to_owned());
        let metrics = Arc::new(Metrics::default());
        let error =
            FeatureFlags::from_env(&Environment::new(&lookup), DEFAULTS, &metrics).map(drop).unwrap_err();
        assert_eq!(error.variable, FILE);
        let none = FeatureFlags::from_env(&Environment::new(&|_| None), DEFAULTS, &metrics).unwrap();
        assert!(none.is_on("on_by_default", &Context::default()));
    }
}
