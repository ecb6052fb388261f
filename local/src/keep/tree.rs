//! The processes below this one.

#[cfg(target_os = "linux")]
pub use linux::{adopt, kill_all};
#[cfg(not(target_os = "linux"))]
pub use other::{adopt, kill_all};

#[cfg(target_os = "linux")]
mod linux {
    use std::{collections::BTreeMap, fs};

    use nix::{
        sys::{
            prctl,
            signal::{Signal, kill},
        },
        unistd::{Pid, getpid},
    };

    /// Makes this process the parent of every orphan below it, so that none gets out of sight.
    pub fn adopt() {
        // An old kernel that cannot do it leaves the orphans that made a group of their own.
        prctl::set_child_subreaper(true).ok();
    }

    /// Kills every process below this one; whether there was any.
    pub fn kill_all(_main: Pid) -> bool {
        let parents = parents();
        let mut found = vec![getpid().as_raw()];
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            found.extend(parents.iter().filter(|(_, of)| **of == parent).map(|(pid, _)| *pid));
            next += 1;
        }
        for pid in &found[1..] {
            kill(Pid::from_raw(*pid), Signal::SIGKILL).ok();
        }
        found.len() > 1
    }

    /// The parent of every process that has not ended.
    fn parents() -> BTreeMap<i32, i32> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                Some((pid, parent(&fs::read_to_string(entry.path().join("stat")).ok()?)?))
            })
            .collect()
    }

    /// `1 (a name) S 2 …`: the parent is 2. Nothing for one that has ended and waits to be reaped.
    fn parent(stat: &str) -> Option<i32> {
        // The name may hold anything, parentheses too.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        (state != "Z" && state != "X").then(|| fields.next()?.parse().ok())?
    }

    #[cfg(test)]
    mod tests {
        use super::parent;

        #[test]
        fn the_parent_is_read_behind_any_name_and_the_dead_have_none() {
            assert_eq!(parent("7 (a) b (c)) S 3 7 7 0"), Some(3));
            assert_eq!(parent("7 (sh) Z 3 7 7 0"), None);
            assert_eq!(parent(""), None);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use nix::{
        sys::signal::{Signal, killpg},
        unistd::Pid,
    };

    /// No other system hands orphans over.
    pub fn adopt() {}

    /// Kills the command's process group; whether there was any process in it.
    pub fn kill_all(main: Pid) -> bool {
        killpg(main, Signal::SIGKILL).is_ok()
    }
}
