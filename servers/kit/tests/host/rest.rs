//! The same tool by REST.

use rstest::rstest;
use serde_json::{Value, json};
use std::time::Duration;

use crate::greeter::{calls_a_minute, world, world_with};

/// Longest wait for anything that must happen.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_tool_is_a_path_that_answers_its_data_or_its_text() {
    let world = world().await;
    let answer = world.greet("Ada").await;
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.json::<Value>().await.unwrap()["greeting"], "Hello, Ada!");
    let request = world.http.post(world.url("/tools/greet")).header("accept", "text/plain");
    let text = request.json(&json!({ "name": "Zoë" })).send().await.unwrap().text().await.unwrap();
    assert_eq!(text, "Hello, Zoë!");
    let form = world.http.get(world.url("/greetings/%E6%B8%AC")).send().await.unwrap();
    assert_eq!(form.json::<Value>().await.unwrap()["greeting"], "Hello, 測!");
}

#[rstest]
#[case::text_of_digits("words=01400376", "words", json!("01400376"))]
#[case::text_of_a_flag("words=true", "words", json!("true"))]
#[case::number("times=-3", "times", json!(-3))]
#[case::fraction("warmth=36.6", "warmth", json!(36.6))]
#[case::flag("loudly=true", "loudly", json!(true))]
#[tokio::test]
async fn arguments_of_a_query_are_what_the_tools_schema_says(
    #[case] query: &str,
    #[case] name: &str,
    #[case] value: Value,
) {
    let world = world().await;
    let url = world.url(&format!("/greetings/Ada?{query}"));
    let answer: Value = world.http.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer[name], value, "{answer}");
}

#[tokio::test]
async fn an_argument_of_a_query_that_does_not_look_like_its_type_is_named() {
    let world = world().await;
    let answer = world.http.get(world.url("/greetings/Ada?times=often")).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["field"], "times", "{problem}");
}

/// Half of a change must not be left behind by a client that loses patience.
#[tokio::test]
async fn a_call_whose_client_has_gone_comes_to_its_end() {
    let world = world().await;
    let mut sleeper = world.greeter.sleeper.subscribe();
    let request = world.http.post(world.url("/tools/greet")).json(&json!({ "name": "the sleeper" }));
    let asked = tokio::spawn(request.send());
    let mut until = async |state| {
        tokio::time::timeout(PATIENCE, sleeper.wait_for(|now| *now == state)).await.unwrap().unwrap();
    };
    until("greeted").await;
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    // By then the server has learnt that the connection is closed: it answers another on a new one.
    let other = reqwest::Client::new().post(world.url("/tools/greet")).json(&json!({ "name": "Ada" }));
    assert_eq!(other.send().await.unwrap().status(), 200);
    world.greeter.awake.notify_one();
    until("awake").await;
}

#[rstest]
#[case::missing("/tools/greet", "{}", 400, "name")]
#[case::of_another_type("/tools/greet", r#"{"name": 1}"#, 400, "name")]
#[case::unknown_argument("/tools/greet", r#"{"name": "a", "nmae": "b"}"#, 400, "nmae")]
#[case::no_object("/tools/greet", "[1]", 400, "not a JSON object")]
#[case::broken("/tools/greet", "{", 400, "not a JSON object")]
#[case::no_such_tool("/tools/meet", "{}", 404, "/openapi.json")]
#[case::nothing_there("/tools/greet", r#"{"name": "nobody"}"#, 404, "nobody")]
#[case::sign_in("/tools/greet", r#"{"name": "a stranger"}"#, 401, "https://greeter.example/auth/login")]
#[case::our_fault("/tools/greet", r#"{"name": "the hangman"}"#, 500, "internal")]
#[case::data_away("/tools/greet", r#"{"name": "the ghost"}"#, 503, r#""code":-32000"#)]
#[tokio::test]
async fn what_is_wrong_is_said_as_a_problem(
    #[case] path: &str,
    #[case] body: &'static str,
    #[case] status: u16,
    #[case] said: &str,
) {
    let world = world().await;
    let request = world.http.post(world.url(path)).header("content-type", "application/json").body(body);
    let answer = request.send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (status, &"application/problem+json".parse().unwrap())
    );
    let wait = answer.headers().get("retry-after").cloned();
    let problem: Value = answer.json().await.unwrap();
    assert_eq!((&problem["status"], wait.is_some()), (&json!(status), status == 503));
    assert!(problem.to_string().contains(said) && !problem.to_string().contains("graveyard"), "{problem}");
}

#[tokio::test]
async fn a_body_of_another_kind_or_without_end_is_refused() {
    let world = world().await;
    let form = world.http.post(world.url("/tools/greet")).form(&[("name", "Ada")]).send().await.unwrap();
    assert_eq!(form.status(), 415);
    let long = world.greet(&"x".repeat(20_000)).await;
    assert_eq!(long.status(), 413);
    assert_eq!(long.headers()["content-type"], "application/problem+json");
    let chunks = futures::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>("x".repeat(1_000))));
    let endless = world.http.post(world.url("/tools/greet")).header("content-type", "application/json");
    let endless = endless.body(reqwest::Body::wrap_stream(chunks)).send().await.unwrap();
    assert_eq!(
        (endless.status().as_u16(), &endless.headers()["content-type"]),
        (413, &"application/problem+json".parse().unwrap())
    );
}

#[tokio::test]
async fn a_page_of_another_site_and_a_foreign_host_name_are_refused() {
    let world = world().await;
    let body = json!({ "name": "Ada" });
    for (header, value, status) in [
        ("origin", "https://evil.example", 403),
        ("host", "evil.example", 403),
        ("origin", "http://localhost:6274", 200),
    ] {
        let request = world.http.post(world.url("/tools/greet")).header(header, value).json(&body);
        assert_eq!(request.send().await.unwrap().status(), status, "{header}: {value}");
    }
}

#[tokio::test]
async fn a_user_who_calls_too_often_is_told_when_to_come_back_and_others_are_not() {
    let world = world_with(calls_a_minute(3)).await;
    let as_user = async |session: &str| {
        let request =
            world.http.post(world.url("/tools/greet")).header("cookie", format!("greeter_session={session}"));
        request.json(&json!({ "name": "Ada" })).send().await.unwrap()
    };
    for _ in 0..3 {
        assert_eq!(as_user("a").await.status(), 200);
    }
    let refused = as_user("a").await;
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=21).contains(&wait), "{wait}");
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], -32003);
    assert_eq!(as_user("b").await.status(), 200);
    // Sessions that never were share what nobody in particular may.
    let invented: Vec<u16> = futures::future::join_all(
        (0..5).map(async |number| as_user(&format!("x{number}")).await.status().as_u16()),
    )
    .await;
    assert_eq!(invented.iter().filter(|status| **status == 429).count(), 2, "{invented:?}");
}

#[tokio::test]
async fn the_document_is_openapi_and_names_every_path() {
    let world = world().await;
    let document: Value =
        world.http.get(world.url("/openapi.json")).send().await.unwrap().json().await.unwrap();
    let schema: Value = serde_json::from_str(include_str!("../data/openapi-3.1.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/tools/greet", "/greetings/{name}"]);
    assert!(!document.to_string().contains("#/$defs/"), "a definition is left out");
    let form = &document["paths"]["/greetings/{name}"]["get"]["parameters"];
    let places: Vec<String> = form
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {}", one["in"].as_str().unwrap(), one["name"].as_str().unwrap()))
        .collect();
    assert_eq!(
        places,
        ["path name", "query session_id", "query words", "query times", "query loudly", "query warmth"]
    );
    for (path, operation) in document["paths"].as_object().unwrap() {
        for part in ["/post/requestBody", "/post/responses/200", "/get/responses/200"] {
            if let Some(schema) = operation.pointer(&format!("{part}/content/application~1json/schema")) {
                jsonschema::validator_for(schema).unwrap_or_else(|error| panic!("{path}{part}: {error}"));
            }
        }
    }
    let mut broken = document.clone();
    broken["paths"]["/tools/greet"]["post"]["responses"] = json!({ "200": {} });
    assert!(!validator.is_valid(&broken), "the schema would accept anything");
}

#[tokio::test]
async fn a_page_is_kept_for_a_week_by_its_version_and_for_an_hour_without() {
    let world = world().await;
    let get = || world.http.get(world.url("/ui/greeting.html"));
    let page = get().send().await.unwrap();
    assert_eq!(page.headers()["cache-control"], "public, max-age=3600");
    let versioned = format!("/ui/greeting.html?v={}", &page.headers()["etag"].to_str().unwrap()[1..13]);
    let versioned = world.http.get(world.url(&versioned)).send().await.unwrap();
    assert_eq!(versioned.headers()["cache-control"], "public, max-age=604800");
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'")
            && policy.contains("img-src data: https://pictures.example;"),
        "{policy}"
    );
    let tag = page.headers()["etag"].clone();
    let again = get().header("if-none-match", tag).send().await.unwrap();
    assert_eq!((again.status().as_u16(), again.text().await.unwrap().len()), (304, 0));
    assert_eq!(get().header("if-none-match", "\"other\"").send().await.unwrap().status(), 200);
    assert_eq!(world.http.get(world.url("/ui/other.html")).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn long_answers_are_compressed_where_the_caller_can_read_them() {
    let world = world().await;
    let http = reqwest::Client::builder().no_gzip().build().unwrap();
    for (encoding, expected) in [("gzip", Some("gzip")), ("identity", None)] {
        let request = http.get(world.url("/openapi.json")).header("accept-encoding", encoding);
        let answer = request.send().await.unwrap();
        let given = answer.headers().get("content-encoding").map(|value| value.to_str().unwrap());
        assert_eq!(given, expected, "{encoding}");
    }
}

#[tokio::test]
async fn a_failure_is_told_in_the_callers_language_and_our_own_without_its_cause() {
    let world = world().await;
    let said = async |name: &str, language: &str| {
        let request = world.http.post(world.url("/tools/greet")).header("accept-language", language);
        let answer: Value =
            request.json(&json!({ "name": name })).send().await.unwrap().json().await.unwrap();
        answer["detail"].as_str().unwrap().to_owned()
    };
    assert!(said("a stranger", "en-GB").await.contains("only friends are greeted"));
    assert!(
        said("a stranger", "de-AT, en;q=0.5").await.contains("anmelden"),
        "{}",
        said("a stranger", "de").await
    );
    assert_ne!(said("a stranger", "fr").await, said("a stranger", "es").await);
    for language in ["en", "de"] {
        let said = said("the hangman", language).await;
        assert!(!said.contains("rope"), "{said}");
    }
}
