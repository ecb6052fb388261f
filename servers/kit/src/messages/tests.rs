use rstest::rstest;

use super::*;
use crate::upstream::Error as Failure;

fn kit() -> Messages {
    Messages::new(&[]).unwrap()
}

#[test]
fn each_language_says_everything_with_the_same_arguments() {
    assert_eq!(gaps(&KIT), Vec::<String>::new());
}

#[test]
fn a_message_that_a_language_lacks_or_makes_of_something_else_is_found() {
    let found = gaps(&[
        (Locale::En, "a = { $x ->\n    [one] one\n   *[other] { $y }\n}\nb = { a }\n    .label = { $z }\n"),
        (Locale::Es, "a = { $x } { $y }\nb = { a }\n    .label = { NUMBER($z) }\n"),
        (Locale::Fr, "a = { $x }\nb = { a }\n    .label = { $z }\n"),
        (Locale::De, "a = { $x } { $y }\n    .label = x\nb = {\n"),
    ]);
    let expected = [
        "`de` has a mistake: Expected an inline expression",
        r#"`a` is made of {"$x"} in `fr`, and of {"$x", "$y"} in `en`"#,
        "`en` does not have `a.label`",
        "`es` does not have `a.label`",
        "`fr` does not have `a.label`",
        "`de` does not have `b`",
        "`de` does not have `b.label`",
    ];
    assert_eq!(found, expected);
}

#[test]
fn every_class_of_failure_has_words_in_every_language_that_name_the_api() {
    let classes = [
        Class::Network,
        Class::Timeout,
        Class::RateLimited,
        Class::Server,
        Class::Client,
        Class::Authentication,
        Class::Authorization,
        Class::Validation,
        Class::NotFound,
        Class::Malformed,
        Class::Quota,
        Class::CircuitOpen,
        Class::UnknownOutcome,
    ];
    let messages = kit();
    for locale in Locale::ALL {
        for class in classes {
            let failure = Failure::new("Kroger", class, "filter.term is too short.")
                .retry_after(Some(Duration::from_mins(5)));
            let text = messages.error(locale, &ToolError::Upstream(failure));
            assert!(
                text.contains("Kroger") && !text.contains('{') && !text.contains(".."),
                "{locale}: {text}"
            );
            assert!(!text.starts_with("upstream-"), "{locale}: {text}");
        }
    }
}

#[rstest]
#[case(Locale::En, "Kroger is getting too many requests at the moment. Try again in 12 seconds.")]
#[case(Locale::Es, "Kroger recibe demasiadas peticiones en este momento. Inténtelo de nuevo en 12 segundos.")]
#[case(Locale::Fr, "Kroger reçoit trop de requêtes pour le moment. Réessayez dans 12 secondes.")]
#[case(Locale::De, "Kroger bekommt im Augenblick zu viele Anfragen. Versuch es in 12 Sekunden noch einmal.")]
fn a_wait_is_said_in_seconds(#[case] locale: Locale, #[case] expected: &str) {
    let failure =
        Failure::new("Kroger", Class::RateLimited, "429").retry_after(Some(Duration::from_secs(12)));
    assert_eq!(kit().error(locale, &failure.into()), expected);
}

#[rstest]
#[case(Locale::En, ["one second", "119 seconds", "2 minutes", "61 minutes", "24 hours"])]
#[case(Locale::Es, ["un segundo", "119 segundos", "2 minutos", "61 minutos", "24 horas"])]
#[case(Locale::Fr, ["1 seconde", "119 secondes", "2 minutes", "61 minutes", "24 heures"])]
#[case(Locale::De, ["einer Sekunde", "119 Sekunden", "2 Minuten", "61 Minuten", "24 Stunden"])]
fn spans_follow_the_rules_of_number(#[case] locale: Locale, #[case] expected: [&str; 5]) {
    let messages = kit();
    let spans =
        [0, 119, 120, 3_601, 86_400].map(|seconds| messages.span(locale, Duration::from_secs(seconds)));
    assert_eq!(spans, expected);
}

#[test]
fn what_any_tool_may_answer_is_said_in_every_language_and_without_inner_words() {
    let messages = kit();
    let errors = || {
        [
            ToolError::invalid("limit", "must be 1 to 50"),
            ToolError::SignIn {
                problem: "inner".to_owned(),
                url: Some("https://x.example/login".to_owned()),
            },
            ToolError::SignIn { problem: "inner".to_owned(), url: None },
            ToolError::TooOften { per_minute: 1_200, wait: Duration::from_secs(3) },
            ToolError::Internal("inner: disk".to_owned()),
            ToolError::Away("inner: all connections are in use".to_owned()),
        ]
    };
    let texts = Locale::ALL.map(|locale| errors().map(|error| messages.error(locale, &error)));
    for (at, english) in texts[0].iter().enumerate() {
        for other in &texts[1..] {
            assert_ne!(english, &other[at]);
        }
    }
    assert!(texts.iter().flatten().all(|text| !text.contains("inner") && !text.contains('{')), "{texts:#?}");
    assert!(texts[0][3].contains("1,200 calls") && texts[3][3].contains("1.200 Aufrufe"), "{texts:#?}");
    assert!(texts.iter().all(|texts| texts[1].ends_with("https://x.example/login")));
    let worded = ToolError::Refused("the cart is empty".to_owned());
    assert_eq!(messages.error(Locale::De, &worded), "the cart is empty");
    assert_eq!(
        messages.stale(Locale::Fr, Duration::from_mins(5)),
        "Données d’il y a 5 minutes : la source ne répond pas pour le moment."
    );
}

#[test]
fn a_servers_messages_stand_beside_the_kits_and_fall_back_to_english() {
    let own = [
        (
            Locale::En,
            "added = Added { $count ->\n    [one] one item\n   *[other] { $count } items\n}.\nonly = Only here\n",
        ),
        (Locale::De, "added = { $count } Artikel hinzugefügt.\n"),
    ];
    let messages = Messages::new(&own).unwrap();
    let added = |locale, count: f64| messages.text(locale, "added", &[("count", count.into())]);
    assert_eq!(added(Locale::En, 1.0), "Added one item.");
    assert_eq!(added(Locale::De, 1_234.5), "1.234,5 Artikel hinzugefügt.");
    assert_eq!(added(Locale::Fr, 2.0), "Added 2 items.");
    assert_eq!(messages.text(Locale::De, "only", &[]), "Only here");
    assert_eq!(messages.text(Locale::De, "nobody-knows-this", &[]), "nobody-knows-this");
    assert_eq!(messages.text(Locale::De, "sign-in-needed", &[]), "Dafür musst du dich anmelden.");
}

#[test]
fn what_a_user_wrote_is_put_in_as_it_is() {
    let messages = Messages::new(&[(Locale::En, "hello = Hello { $name }!")]).unwrap();
    let name = "{ $name } -term <b>\u{2068}";
    assert_eq!(messages.text(Locale::En, "hello", &[("name", name.into())]), format!("Hello {name}!"));
}

#[rstest]
#[case("a = {")]
#[case("sign-in-needed = twice")]
fn a_mistake_in_the_files_is_found_at_the_start(#[case] text: &'static str) {
    let error = Messages::new(&[(Locale::De, text)]).unwrap_err().to_string();
    assert!(error.starts_with("the messages in `de` cannot be used"), "{error}");
}
