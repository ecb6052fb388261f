//! Log messages of servers: the level of a legacy client's session, and that of a modern client's request.

use portico_conformance::Era;
use portico_gateway::Options;
use serde_json::{Value, json};

use super::questions::{LEGACY, in_front_of};
use super::schemas::check;
use super::support::Events;

const TOOL: &str = "test_tool_with_logging";

/// How many log messages come before the answer.
async fn logged(mut events: Events, version: &str) -> usize {
    let mut count = 0;
    while let Some(message) = events.next().await {
        if message["method"] == "notifications/message" {
            check(version, "LoggingMessageNotification", &message);
            count += 1;
        }
    }
    count
}

#[tokio::test]
async fn a_legacy_client_gets_the_messages_of_the_level_it_set() {
    for era in [Era::Legacy, Era::Modern] {
        let (_fixture, gateway) = in_front_of(era, Options::default()).await;
        let client = gateway.legacy(LEGACY).await;
        for (level, expected) in [("info", 3), ("error", 0), ("debug", 3)] {
            let (_, set) = client.call("logging/setLevel", json!({ "level": level })).await;
            assert_eq!(set["result"], json!({}));
            let events = client.open("tools/call", json!({ "name": TOOL })).await;
            let events = if expected == 0 { whole(events).await } else { logged(events, LEGACY).await };
            assert_eq!(events, expected, "{era:?} {level}");
        }
        // A session opened later is told of the level too.
        let other = gateway.legacy(LEGACY).await;
        other.call("logging/setLevel", json!({ "level": "debug" })).await;
        let events = other.open("tools/call", json!({ "name": TOOL })).await;
        assert_eq!(logged(events, LEGACY).await, 3, "{era:?}");
    }
}

/// An answer without messages comes as JSON, not as a stream.
async fn whole(mut events: Events) -> usize {
    usize::from(events.next().await.is_some())
}

#[tokio::test]
async fn a_modern_client_gets_messages_for_the_requests_that_ask_for_them() {
    for era in [Era::Legacy, Era::Modern] {
        let (_fixture, gateway) = in_front_of(era, Options::default()).await;
        for (level, expected) in [(None, 0), (Some("info"), 3), (Some("error"), 0), (None, 0)] {
            let mut params = json!({ "name": TOOL });
            if let Some(level) = level {
                params["_meta"]["io.modelcontextprotocol/logLevel"] = level.into();
            }
            let response = gateway.modern_request("tools/call", params).send().await.unwrap();
            let streamed = response.headers()["content-type"] == "text/event-stream";
            assert_eq!(streamed, expected > 0, "{era:?} {level:?}");
            if streamed {
                assert_eq!(logged(Events::of(response), "2026-07-28").await, expected);
            } else {
                let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
                check("2026-07-28", "CallToolResultResponse", &answer);
            }
        }
    }
}
