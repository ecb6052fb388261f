//! Prompts.

use serde_json::{Value, json};

use crate::call::{Asked, Call};
use crate::resources::PNG;
use crate::schemas;
use crate::wire::Refusal;

pub(crate) async fn get(call: &Call) -> Result<Value, Refusal> {
    let user = |content: Value| json!({ "role": "user", "content": content });
    let text = |text: &str| json!({ "type": "text", "text": text });
    let messages = match call.params["name"].as_str().unwrap_or_default() {
        "test_simple_prompt" => vec![user(text("This is a simple prompt for testing."))],
        "test_prompt_with_arguments" => {
            let (one, two) = (call.argument("arg1"), call.argument("arg2"));
            vec![user(text(&format!("Prompt with arguments: arg1='{one}', arg2='{two}'")))]
        }
        "test_prompt_with_embedded_resource" => {
            let resource = json!({ "uri": call.argument("resourceUri"), "mimeType": "text/plain",
                "text": "Embedded resource content for testing." });
            vec![
                user(json!({ "type": "resource", "resource": resource })),
                user(text("Please process the embedded resource above.")),
            ]
        }
        "test_prompt_with_image" => vec![
            user(json!({ "type": "image", "data": PNG, "mimeType": "image/png" })),
            user(text("Please analyze the image above.")),
        ],
        "test_input_required_result_prompt" => {
            let params = schemas::form("What context should the prompt use?", "context", "string");
            match call.ask(&[("user_context", "elicitation/create", params)], None).await? {
                Asked::Answers(answers) => vec![user(text(&format!("Context: {}", answers[0]["content"])))],
                Asked::Result(result) => return Ok(result),
            }
        }
        name => return Err(Refusal::new(-32_602, format!("Unknown prompt: {name}"))),
    };
    Ok(json!({ "messages": messages }))
}
