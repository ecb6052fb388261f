//! How much somebody may do, counted by one replica and by several together.

use portico_gateway::Options;
use portico_services::Redis;
use serde_json::{Value, json};

use super::raw_server::{RawServer, nothing_special};
use super::support::{TestGateway, answer, eventually, server as behind};

const TOOLS: &str = r#"[{"name":"look","inputSchema":{}},{"name":"refund","inputSchema":{}}]"#;

struct Counted {
    gateway: TestGateway,
    server: RawServer,
    folder: tempfile::TempDir,
}

impl Counted {
    /// A gateway with these limits, and keys of Ada and Bob.
    async fn start(limits: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        for name in ["ada", "bob"] {
            std::fs::write(folder.path().join("keys").join(name), key(name)).unwrap();
        }
        std::fs::write(folder.path().join("password"), "a-password\n").unwrap();
        let server = RawServer::legacy(TOOLS, nothing_special).await;
        let gateway = TestGateway::with(Options::default(), vec![behind("pos", &[&server.url()])]).await;
        gateway.until_tools(&["look", "refund"]).await;
        let counted = Self { gateway, server, folder };
        counted.write(limits);
        counted.gateway.gateway.configure_from(&counted.folder.path().join("gateway.yaml")).unwrap();
        counted
    }

    fn write(&self, limits: &str) {
        let folder = self.folder.path().display().to_string();
        let text = format!(
            "auth: {{anonymous: true, apiKeys: {{folder: {folder}/keys}}}}\ntrustedProxies: [127.0.0.0/8]\nlimits: {}\n",
            limits.replace("FOLDER", &folder)
        );
        std::fs::write(self.folder.path().join("gateway.yaml"), text).unwrap();
    }

    async fn call(&self, who: &str, tool: &str) -> (u16, Value) {
        let request = self.gateway.modern_request("tools/call", json!({ "name": tool }));
        answer(request.bearer_auth(key(who)).send().await.unwrap()).await
    }

    /// How often Redis did not answer, or not in time.
    async fn store_failures(&self) -> u64 {
        let (_, text) = self.gateway.get("/metrics").await;
        let line = text.lines().find(|line| line.starts_with("portico_gateway_quota_store_failures_total "));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).expect("they are counted")
    }

    /// How many of `times` calls are let through.
    async fn passed(&self, who: &str, tool: &str, times: usize) -> usize {
        let mut passed = 0;
        for _ in 0..times {
            passed += usize::from(self.call(who, tool).await.0 == 200);
        }
        passed
    }
}

fn key(name: &str) -> String {
    format!("{name}-has-a-long-key")
}

#[tokio::test]
async fn who_used_up_a_quota_waits_and_nobody_else_does() {
    let counted = Counted::start(
        "{quotas: [{name: refunds, tools: [refund], per: [Principal], calls: 3, seconds: 3600}]}",
    )
    .await;
    assert_eq!(counted.passed("ada", "refund", 5).await, 3);
    let request = counted.gateway.modern_request("tools/call", json!({ "name": "refund" }));
    let response = request.bearer_auth(key("ada")).send().await.unwrap();
    let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=1200).contains(&wait), "one comes back in 1200 s: {wait}");
    let (status, refused) = answer(response).await;
    assert_eq!((status, &refused["error"]["code"]), (429, &json!(-32003)));
    assert!(
        refused["error"]["message"].as_str().unwrap().contains("`refunds` is used up; try again in"),
        "{refused}"
    );
    assert_eq!(counted.passed("bob", "refund", 1).await, 1);
    assert_eq!(counted.passed("ada", "look", 5).await, 5, "it is about refunds");
    assert_eq!(counted.server.seen("tools/call").len(), 9);
    assert!(counted.gateway.get("/metrics").await.1.contains(r#"quota_refusals_total{quota="refunds"} 3"#));
}

#[tokio::test]
async fn a_new_configuration_forgets_nothing_that_was_counted() {
    let limits = |calls: u64| format!("{{quotas: [{{name: daily, calls: {calls}, every: Month}}]}}");
    let counted = Counted::start(&limits(2)).await;
    assert_eq!(counted.passed("ada", "look", 3).await, 2);
    counted.write(&limits(3));
    eventually("there is room for one more", async || counted.call("bob", "look").await.0 == 200).await;
    assert_eq!(counted.passed("ada", "look", 3).await, 0);
}

#[tokio::test]
async fn requests_are_counted_by_address_also_those_without_good_credentials() {
    let counted = Counted::start(
        "{quotas: [{name: knocks, counts: Requests, per: [Address], calls: 4, every: Month}]}",
    )
    .await;
    let knock = async |address: &str, key: &str| {
        let request = counted.gateway.modern_request("tools/list", json!({}));
        request.header("x-forwarded-for", address).bearer_auth(key).send().await.unwrap().status().as_u16()
    };
    for _ in 0..4 {
        assert_eq!(knock("2001:db8::1", "a-key-that-is-guessed").await, 401);
    }
    assert_eq!(knock("2001:db8::1", &key("ada")).await, 429);
    assert_eq!(knock("2001:db8::ffff:2", &key("ada")).await, 429, "who has one has all 2^64");
    assert_eq!(knock("2001:db8:0:1::1", &key("ada")).await, 200);
}

#[tokio::test]
async fn sizes_are_limited_as_the_configuration_says() {
    let counted = Counted::start("{argumentBytes: 2048, bodyBytes: 4096, depth: 10}").await;
    let call = async |arguments: Value| {
        let request =
            counted.gateway.modern_request("tools/call", json!({ "name": "look", "arguments": arguments }));
        answer(request.send().await.unwrap()).await
    };
    assert_eq!(call(json!({ "a": "x".repeat(1000) })).await.0, 200);
    let (_, refused) = call(json!({ "a": "x".repeat(3000) })).await;
    assert!(
        refused["error"]["message"].as_str().unwrap().contains("bytes, and 2048 are allowed"),
        "{refused}"
    );
    assert_eq!(call(json!({ "a": "x".repeat(5000) })).await.0, 413);
    assert_eq!(call(json!([[[[[[[[[[[[1]]]]]]]]]]]])).await.0, 400);
}

/// Carries out a scenario until Redis has answered in time throughout, which then gives true. It has half a second for each
/// answer, which a busy machine misses; a fault of ours spoils every try.
async fn with_redis_in_time(scenario: impl AsyncFn() -> bool) {
    for _ in 0..5 {
        if scenario().await {
            return;
        }
    }
    panic!("Redis was late in each of five tries");
}

#[tokio::test]
async fn replicas_that_share_redis_count_together_and_to_the_call() {
    with_redis_in_time(count_together).await;
}

async fn count_together() -> bool {
    let redis = Redis::start(&["--requirepass", "a-password"]).await.unwrap();
    let limits = format!(
        "{{quotas: [{{name: per-key, per: [Principal], calls: 20, seconds: 3600}}, {{name: all, calls: 50, every: Month}}], redis: {{url: 'redis://127.0.0.1:{}', passwordFile: FOLDER/password}}}}",
        redis.port()
    );
    let (one, other) = tokio::join!(Counted::start(&limits), Counted::start(&limits));
    let at_once = async |who: &'static str, times: usize| {
        let sent = (0..times).flat_map(|_| [one.call(who, "look"), other.call(who, "look")]);
        futures::future::join_all(sent).await.iter().filter(|(status, _)| *status == 200).count()
    };
    // One call each, so that the replicas are connected; of the tens after that, the second meets the bound in its middle.
    let calls = async |who: &'static str| {
        let mut passed = at_once(who, 1).await;
        for _ in 0..5 {
            passed += at_once(who, 5).await;
        }
        passed
    };
    let (ada, bob) = (calls("ada").await, calls("bob").await);
    let anonymous =
        async |replica: &Counted| replica.gateway.modern("tools/call", json!({ "name": "look" })).await.0;
    let mut passed = 0;
    for _ in 0..20 {
        passed += usize::from(anonymous(&one).await == 200) + usize::from(anonymous(&other).await == 200);
    }
    if one.store_failures().await + other.store_failures().await > 0 {
        return false;
    }
    assert_eq!((ada, bob), (20, 20), "52 of each through two replicas");
    assert_eq!(passed, 10, "50 in all, and what one quota refused was not taken from another");
    assert_eq!(one.server.seen("tools/call").len() + other.server.seen("tools/call").len(), 50);
    true
}

#[tokio::test]
async fn while_redis_is_away_each_replica_counts_alone_and_nobody_waits_for_it() {
    with_redis_in_time(count_alone_while_it_is_away).await;
}

async fn count_alone_while_it_is_away() -> bool {
    let redis = Redis::start(&[]).await.unwrap();
    let port = redis.port();
    let limits = format!(
        "{{quotas: [{{name: per-key, per: [Principal], calls: 5, seconds: 3600}}], redis: {{url: 'redis://127.0.0.1:{port}'}}}}"
    );
    let counted = Counted::start(&limits).await;
    let ada = counted.passed("ada", "look", 9).await;
    if counted.store_failures().await > 0 {
        return false;
    }
    assert_eq!(ada, 5);
    drop(redis);
    assert_eq!(counted.passed("bob", "look", 9).await, 5, "alone, but not without limit");
    assert!(counted.store_failures().await > 0);
    let _redis = Redis::at(port, &[]).await.unwrap();
    // An empty store gives everybody room again, once it is asked.
    eventually("the store is asked again", async || counted.call("bob", "look").await.0 == 200).await;
    let before = counted.store_failures().await;
    let ada = counted.passed("ada", "look", 9).await;
    if counted.store_failures().await > before {
        return false;
    }
    assert_eq!(ada, 5);
    true
}

#[tokio::test]
async fn a_store_that_hangs_holds_up_a_call_once_and_not_each_call() {
    let hung = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = format!(
        "{{quotas: [{{name: many, calls: 1000, seconds: 1}}], redis: {{url: 'redis://{}'}}}}",
        hung.local_addr().unwrap()
    );
    let counted = Counted::start(&limits).await;
    assert_eq!(counted.passed("ada", "look", 40).await, 40);
    let metrics = counted.gateway.get("/metrics").await.1;
    assert!(metrics.contains("quota_store_failures_total 40"), "{metrics}");
    // Each of 40 waiting for its answer in vain would open a connection.
    let mut opened = 0;
    while let Some(Ok(_)) = futures::FutureExt::now_or_never(hung.accept()) {
        opened += 1;
    }
    assert!((1..40).contains(&opened), "{opened}");
}
