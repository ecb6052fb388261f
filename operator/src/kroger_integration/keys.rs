//! What to do about the Secret with the session keys. Pure: time and chance are given.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use portico_crds::{kroger_integration::Keys, labels};

use super::{
    keyring::{Fresh, Keyring, next, until_next},
    render::{KEYRING_KEY, keys_name, mend, new_keys, rotated_keys},
    validate::ValidatedIntegration,
};
use crate::child::{controller, is_of_operator};

/// The next step about the Secret.
#[derive(Debug)]
pub enum Step {
    /// It is as it should be.
    Keep(Settled),
    /// It does not exist.
    Create(Box<Secret>),
    /// It is to be replaced, under the version it was read at: a new key joins, or an old one goes.
    Rotate(Box<Secret>),
    /// It is to be replaced, under the version it was read at: labels were taken from it.
    Mend(Box<Secret>),
    /// What it holds is no keyring, for this reason. It is left alone.
    Unreadable(String),
    /// It belongs to somebody else.
    Taken,
}

/// Keys that are as they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What the status says of them.
    pub keys: Keys,
    /// Seconds until something changes by itself.
    pub until_next: Option<u64>,
}

/// Decides about the Secret as it was read last, given since when the server has been serving.
#[must_use]
pub fn decide(
    integration: &ValidatedIntegration,
    live: Option<&Secret>,
    serving_since: Option<Timestamp>,
    now: Timestamp,
    bytes: &Fresh,
) -> Step {
    let Some(live) = live else {
        return Step::Create(Box::new(new_keys(integration, &Keyring::first(now, bytes))));
    };
    if !is_ours(integration, live) {
        return Step::Taken;
    }
    let content = live.data.as_ref().and_then(|data| data.get(KEYRING_KEY));
    let read = content.map_or(Err("does not exist"), |content| Keyring::read(&content.0));
    let keyring = match read {
        Ok(keyring) => keyring,
        Err(fault) => {
            let name = keys_name(&integration.owner.name);
            return Step::Unreadable(format!("Secret '{name}': the key '{KEYRING_KEY}' {fault}"));
        }
    };
    let answered = live.annotations().get(labels::ROTATED_FOR).map(String::as_str);
    let wish = integration.wish(answered, serving_since);
    let mut mended = live.clone();
    let damaged = mend(integration, &mut mended);
    if let Some(next) = next(&keyring, now, &wish, bytes) {
        return Step::Rotate(Box::new(rotated_keys(integration, &mended, &next)));
    }
    if damaged {
        return Step::Mend(Box::new(mended));
    }
    Step::Keep(Settled {
        keys: Keys {
            current: keyring.current(now).map(|key| key.id.clone()),
            rotated_for: answered.map(ToOwned::to_owned),
        },
        until_next: until_next(&keyring, now, &wish),
    })
}

/// Whether the Secret is this integration's, or was left by one of its name.
fn is_ours(integration: &ValidatedIntegration, live: &Secret) -> bool {
    let wanted = Secret { metadata: integration.owner.lasting_meta(String::new()), ..Secret::default() };
    controller(live).map_or_else(|| is_of_operator(live, &wanted), |uid| uid == integration.owner.uid)
}
