use std::{fs, os::unix::fs::PermissionsExt as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn entry(id: &str, byte: u8, usable_from: &str) -> String {
    let key = STANDARD.encode([byte; 32]);
    format!(r#"{{"id":"{id}","key":"{key}","created":"2026-01-01T00:00:00Z","usableFrom":"{usable_from}"}}"#)
}

fn ring(entries: &[String]) -> String {
    format!(r#"{{"keys":[{}]}}"#, entries.join(","))
}

const PAST: &str = "2026-01-01T00:00:00Z";
const FUTURE: &str = "2999-01-01T00:00:00Z";

struct Kept {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Kept {
    fn new(text: &str) -> (Self, Sealer) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyring.json");
        fs::write(&path, text).unwrap();
        let sealer = Sealer::from_file(&path).unwrap();
        (Self { path, _folder: folder }, sealer)
    }

    /// As a mounted Secret changes: by a rename.
    fn becomes(&self, text: &str) {
        let next = self.path.with_extension("next");
        fs::write(&next, text).unwrap();
        fs::rename(&next, &self.path).unwrap();
    }
}

proptest! {
    #[test]
    fn what_is_sealed_opens_in_its_context_alone(plain: Vec<u8>, context: String, other: String) {
        let sealer = Sealer::ephemeral().unwrap();
        let sealed = sealer.seal(&context, &plain).unwrap();
        let opened = sealer.open(&context, &sealed).unwrap();
        prop_assert_eq!(&*opened.plain, &plain);
        prop_assert!(!opened.old);
        if context != other {
            prop_assert_eq!(sealer.open(&other, &sealed), Err(Error::Broken));
        }
        prop_assert_ne!(sealer.seal(&context, &plain).unwrap(), sealed, "no two seals are alike");
    }

    #[test]
    fn a_seal_with_any_bit_changed_or_any_end_cut_off_does_not_open(plain: Vec<u8>, at: prop::sample::Index, bit in 0_u8..8) {
        let sealer = Sealer::ephemeral().unwrap();
        let mut sealed = sealer.seal("here", &plain).unwrap();
        prop_assert!(sealer.open("here", &sealed[..at.index(sealed.len())]).is_err());
        let place = at.index(sealed.len());
        sealed[place] ^= 1_u8 << bit;
        prop_assert!(sealer.open("here", &sealed).is_err());
    }

    #[test]
    fn whatever_bytes_are_given_nothing_opens_and_nothing_breaks(bytes: Vec<u8>) {
        prop_assert!(Sealer::ephemeral().unwrap().open("here", &bytes).is_err());
    }

    #[test]
    fn whatever_a_file_holds_it_is_read_or_refused(bytes: Vec<u8>) {
        prop_assert!(Keyring::parse(&bytes).is_err());
    }
}

#[test]
fn a_new_key_seals_when_it_is_usable_and_old_seals_still_open() {
    let (file, sealer) = Kept::new(&ring(&[entry("a", 1, PAST)]));
    let first = sealer.seal("x", b"first").unwrap();
    file.becomes(&ring(&[entry("a", 1, PAST), entry("b", 2, FUTURE)]));
    sealer.look_now();
    let waiting = sealer.seal("x", b"waiting").unwrap();
    assert_eq!(&waiting[..3], b"\x01\x01a", "the new one waits until every replica has it");
    // Another replica is ahead: what it seals is opened here already.
    let (_ahead, other) = Kept::new(&ring(&[entry("a", 1, PAST), entry("b", 2, PAST)]));
    let second = other.seal("x", b"second").unwrap();
    assert_eq!(&second[..3], b"\x01\x01b");
    assert_eq!(&*sealer.open("x", &second).unwrap().plain, b"second");
    let opened = other.open("x", &first).unwrap();
    assert_eq!((&opened.plain[..], opened.old), (&b"first"[..], true), "to be sealed again");
    assert!(!other.open("x", &second).unwrap().old);
}

#[test]
fn a_key_that_was_taken_out_is_named() {
    let (file, sealer) = Kept::new(&ring(&[entry("a", 1, PAST)]));
    let sealed = sealer.seal("x", b"first").unwrap();
    file.becomes(&ring(&[entry("b", 2, PAST)]));
    sealer.look_now();
    assert_eq!(sealer.open("x", &sealed), Err(Error::UnknownKey { id: "a".to_owned() }));
    // A key of the same name that is another key is no help.
    file.becomes(&ring(&[entry("a", 3, PAST)]));
    sealer.look_now();
    assert_eq!(sealer.open("x", &sealed), Err(Error::Broken));
}

#[rstest]
#[case::broken("{")]
#[case::empty(r#"{"keys":[]}"#)]
#[case::short(r#"{"keys":[{"id":"b","key":"AAAA","created":"2026-01-01T00:00:00Z","usableFrom":"2026-01-01T00:00:00Z"}]}"#)]
fn a_file_that_cannot_be_used_leaves_the_keys_as_they_were(#[case] text: &str) {
    let (file, sealer) = Kept::new(&ring(&[entry("a", 1, PAST)]));
    let sealed = sealer.seal("x", b"first").unwrap();
    file.becomes(text);
    sealer.look_now();
    assert!(sealer.open("x", &sealed).is_ok());
    fs::remove_file(&file.path).unwrap();
    sealer.look_now();
    assert!(sealer.seal("x", b"second").is_ok());
    // The next good one is taken, also where it is the one from before.
    file.becomes(&ring(&[entry("a", 1, PAST), entry("b", 2, PAST)]));
    sealer.look_now();
    assert_eq!(&sealer.seal("x", b"third").unwrap()[..3], b"\x01\x01b");
    assert!(
        Sealer::from_file(file.path.with_file_name("none"))
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
}

/// What one of them seals the other would be asked to open.
#[test]
fn two_keys_of_one_id_are_refused_by_name() {
    let (file, sealer) = Kept::new(&ring(&[entry("a", 1, PAST)]));
    let sealed = sealer.seal("x", b"first").unwrap();
    file.becomes(&ring(&[entry("a", 1, PAST), entry("a", 2, PAST)]));
    sealer.look_now();
    assert_eq!(&*sealer.open("x", &sealed).unwrap().plain, b"first");
    assert_eq!(&*sealer.open("x", &sealer.seal("x", b"second").unwrap()).unwrap().plain, b"second");
    let refused = Sealer::from_file(&file.path).unwrap_err().to_string();
    assert!(refused.contains("two keys with the id 'a'"), "{refused}");
}

#[test]
fn no_key_and_nothing_sealed_is_ever_printed() {
    let secret = STANDARD.encode([7; 32]);
    let (_file, sealer) = Kept::new(&ring(&[entry("a", 7, PAST)]));
    let opened = sealer.open("x", &sealer.seal("x", b"plain-words").unwrap()).unwrap();
    let text = sealer.open_text("x", &sealer.seal_text("x", "plain-words").unwrap()).unwrap();
    assert_eq!(text.plain.as_str(), "plain-words");
    let printed = format!("{sealer:?} {opened:?} {text:?}");
    assert!(printed.contains("\"a\""), "the names of keys are: {printed}");
    for hidden in [secret.as_str(), "plain-words", "7, 7", "0707"] {
        assert!(!printed.contains(hidden), "{printed}");
    }
    // Not even where the file is wrong beside a key.
    let wrong = Keyring::parse(format!(r#"{{"keys":[{{"id":"a","key":{{"{secret}":1}}}}]}}"#).as_bytes())
        .unwrap_err();
    assert!(!wrong.contains(&secret), "{wrong}");
}

#[test]
fn bytes_that_are_no_text_are_not_taken_for_it() {
    let sealer = Sealer::ephemeral().unwrap();
    assert_eq!(sealer.open_text("x", &sealer.seal("x", &[0xff]).unwrap()).unwrap_err(), Error::NotText);
}

#[test]
fn processes_that_start_together_share_the_key_that_one_of_them_makes() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let (database, together) = (folder.path().join("shop.db"), std::sync::Barrier::new(8));
        let start = || {
            together.wait();
            Sealer::beside(&database).unwrap()
        };
        let sealers: Vec<Sealer> = std::thread::scope(|scope| {
            let starting: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            starting.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let sealed = sealers[0].seal("x", b"shared").unwrap();
        assert!(sealers.iter().all(|sealer| sealer.open("x", &sealed).is_ok()));
        assert!(Sealer::beside(&database).unwrap().open("x", &sealed).is_ok());
        let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files, [folder.path().join("shop.db.keyring.json")]);
        assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
