//! Tools.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::call::{Asked, Call, Question};
use crate::resources::PNG;
use crate::schemas::{defaults, enums, form, sample, user};
use crate::tasks;
use crate::wire::Refusal;

/// Two samples of silence.
const WAV: &str = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=";
const ELICIT: &str = "elicitation/create";
const SAMPLE: &str = "sampling/createMessage";
const ROOTS: &str = "roots/list";

type Outcome = Result<Value, Refusal>;

fn text(text: impl Into<String>) -> Value {
    json!({ "content": [{ "type": "text", "text": text.into() }] })
}

pub(crate) async fn call(call: &Call) -> Outcome {
    let name = call.params["name"].as_str().unwrap_or_default();
    if call.is_modern() && tasks::TOOLS.contains(&name) {
        return tasks::call(call, name).await;
    }
    match name.strip_prefix("test_input_required_result_") {
        Some(rest) => input_required(call, rest).await,
        None => match plain(name) {
            Some(result) => Ok(result),
            None => other(call, name).await,
        },
    }
}

fn plain(name: &str) -> Option<Value> {
    let image = json!({ "type": "image", "data": PNG, "mimeType": "image/png" });
    let embedded = |uri: &str, mime: &str, text: &str| json!({ "type": "resource", "resource": { "uri": uri, "mimeType": mime, "text": text } });
    let content = match name {
        "test_simple_text" => return Some(text("This is a simple text response for testing.")),
        "test_error_handling" => {
            let mut result = text("This tool intentionally returns an error for testing");
            result["isError"] = true.into();
            return Some(result);
        }
        "test_image_content" => vec![image],
        "test_audio_content" => vec![json!({ "type": "audio", "data": WAV, "mimeType": "audio/wav" })],
        "test_embedded_resource" => {
            vec![embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]
        }
        "test_multiple_content_types" => vec![
            json!({ "type": "text", "text": "Multiple content types test:" }),
            image,
            embedded(
                "test://mixed-content-resource",
                "application/json",
                &json!({ "test": "data", "value": 123 }).to_string(),
            ),
        ],
        "test_more" | "test_mirrored_argument" | "json_schema_2020_12_tool" => return Some(text("Done.")),
        _ => return None,
    };
    Some(json!({ "content": content }))
}

async fn other(call: &Call, name: &str) -> Outcome {
    match name {
        "test_tool_with_logging" | "test_logging_tool" => {
            call.log("Tool execution started");
            call.pause().await;
            call.log("Tool processing data");
            call.pause().await;
            call.log("Tool execution completed");
            Ok(text("Logged."))
        }
        "test_tool_with_progress" => {
            call.progress(0);
            call.pause().await;
            call.progress(50);
            call.pause().await;
            call.progress(100);
            Ok(text("Progressed."))
        }
        "test_trigger_tool_change" => {
            call.state.more_tools.fetch_xor(true, Ordering::Relaxed);
            call.state.tell("notifications/tools/list_changed", &json!({}));
            Ok(text("The list of tools changed."))
        }
        "test_trigger_prompt_change" => {
            call.state.more_prompts.fetch_xor(true, Ordering::Relaxed);
            call.state.tell("notifications/prompts/list_changed", &json!({}));
            Ok(text("The list of prompts changed."))
        }
        "test_wait" => std::future::pending().await,
        "test_url_elicitation_required" => url_required(),
        name => asking(call, name).await,
    }
}

/// Tools that ask one thing.
async fn asking(call: &Call, name: &str) -> Outcome {
    let (method, params, said) = match name {
        "test_sampling" => (SAMPLE, sample(call.argument("prompt"), 100), "LLM response"),
        "test_missing_capability" => (SAMPLE, sample("Anybody there?", 10), "LLM response"),
        "test_elicitation" => (ELICIT, user(call.argument("message")), "User response"),
        "test_streaming_elicitation" => (ELICIT, user("Who are you?"), "User response"),
        "test_elicitation_sep1034_defaults" => (ELICIT, defaults(), "Elicitation completed"),
        "test_elicitation_sep1330_enums" => (ELICIT, enums(), "Elicitation completed"),
        name => return Err(Refusal::new(-32_602, format!("Unknown tool: {name}"))),
    };
    one(call, ("input", method, params), said).await
}

async fn one(call: &Call, question: Question<'_>, said: &str) -> Outcome {
    Ok(match call.ask(&[question], None).await? {
        Asked::Answers(answers) => text(format!("{said}: {}", answers[0])),
        Asked::Result(result) => result,
    })
}

/// What 2025-11-25 answers while the user has something to do on a page.
fn url_required() -> Outcome {
    let elicitation = json!({ "mode": "url", "elicitationId": "e-1", "url": "https://example.com/allow",
        "message": "Please allow it" });
    Err(Refusal::new(-32_042, "the user must allow it first").data(json!({ "elicitations": [elicitation] })))
}

async fn input_required(call: &Call, name: &str) -> Outcome {
    let name_form = || form("What is your name?", "name", "string");
    match name {
        "elicitation" => one(call, ("user_name", ELICIT, name_form()), "Hello").await,
        "sampling" => {
            let params = sample("What is the capital of France?", 100);
            one(call, ("capital_question", SAMPLE, params), "Capital").await
        }
        "list_roots" => one(call, ("client_roots", ROOTS, json!({})), "Roots").await,
        "request_state" | "tampered_state" => {
            call.returned()?;
            let question = ("confirm", ELICIT, form("Please confirm", "ok", "boolean"));
            finished(call, &[question], Some("confirm")).await
        }
        "multiple_inputs" => {
            call.returned()?;
            let questions = [
                ("user_name", ELICIT, name_form()),
                ("greeting", SAMPLE, sample("Generate a greeting", 50)),
                ("client_roots", ROOTS, json!({})),
            ];
            finished(call, &questions, Some("several")).await
        }
        "multi_round" => rounds(call).await,
        "capabilities" => {
            let all = [("name", ELICIT, name_form()), ("words", SAMPLE, sample("Say something", 10))];
            let possible: Vec<Question<'_>> =
                all.into_iter().filter(|(_, method, _)| call.can(method)).collect();
            finished(call, &possible, None).await
        }
        name => Err(Refusal::new(-32_602, format!("Unknown tool: {name}"))),
    }
}

async fn finished(call: &Call, questions: &[Question<'_>], state: Option<&str>) -> Outcome {
    Ok(match call.ask(questions, state).await? {
        Asked::Answers(answers) => text(format!("state-ok {}", Value::from(answers))),
        Asked::Result(result) => result,
    })
}

/// Asks twice, one after the other.
async fn rounds(call: &Call) -> Outcome {
    let step1 = ("step1", ELICIT, form("Step 1: What is your name?", "name", "string"));
    let step2 = ("step2", ELICIT, form("Step 2: What is your favorite color?", "color", "string"));
    if call.returned()? != Some("round-2")
        && let Asked::Result(result) = call.ask(&[step1], Some("round-1")).await?
    {
        return Ok(result);
    }
    finished(call, &[step2], Some("round-2")).await
}
