//! What a client's roots leave of the allowed directories.
#![expect(deprecated, reason = "roots are deprecated and still served")]

use rmcp::{
    ErrorData,
    model::{ListRootsResult, Root},
    service::RequestContext,
};

use super::*;

/// A client that shares these roots, or fails to name them.
#[derive(Clone)]
struct Sharing(Option<Vec<String>>);

impl ClientHandler for Sharing {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_roots().build();
        ClientConfig::new(capabilities, Implementation::new("test", "1"))
    }

    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        let Some(roots) = &self.0 else { return Err(ErrorData::internal_error("not today", None)) };
        Ok(ListRootsResult::new(roots.iter().map(Root::new).collect()))
    }
}

/// Two allowed directories, `a` and `b`, in one folder; the roots are named relative to it.
async fn sharing(era: Era, roots: Option<&[&str]>) -> World<Sharing> {
    let (allowed, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let base = allowed.path().canonicalize().unwrap();
    for dir in ["a", "a/inner", "b", "other"] {
        fs::create_dir_all(base.join(dir)).unwrap();
        fs::write(base.join(dir).join("f.txt"), dir).unwrap();
    }
    let (address, stop) = serve(config(&format!("{0}/a:{0}/b", base.display()), false, 1000)).await;
    let roots =
        roots.map(|roots| roots.iter().map(|root| format!("file://{}{root}", base.display())).collect());
    World { allowed, outside, client: connect(address, era, Sharing(roots)).await, _stop: stop }
}

impl World<Sharing> {
    fn at(&self, path: &str) -> String {
        self.allowed.path().canonicalize().unwrap().join(path).display().to_string()
    }
}

#[rstest]
#[case::one_of_two(&["/a"], &["a"], &["a/f.txt", "a/inner/f.txt"], &["b/f.txt"])]
#[case::within(&["/a/inner"], &["a/inner"], &["a/inner/f.txt"], &["a/f.txt", "b/f.txt"])]
#[case::around(&[""], &["a", "b"], &["a/f.txt", "b/f.txt"], &["other/f.txt"])]
#[case::elsewhere(&["/other"], &[], &[], &["a/f.txt", "other/f.txt"])]
#[case::not_there(&["/none"], &[], &[], &["a/f.txt"])]
#[case::empty_list(&[], &["a", "b"], &["a/f.txt", "b/f.txt"], &["other/f.txt"])]
#[tokio::test]
async fn roots_narrow_access_to_what_both_sides_allow(
    #[case] roots: &[&str],
    #[case] directories: &[&str],
    #[case] readable: &[&str],
    #[case] refused: &[&str],
    #[values(Era::Legacy, Era::Modern)] era: Era,
) {
    let world = sharing(era, Some(roots)).await;
    let allowed = world.call("list_allowed_directories", json!({})).await;
    let expected: Vec<String> = directories.iter().map(|directory| world.at(directory)).collect();
    assert_eq!(allowed["directories"], json!(expected));
    assert_eq!(allowed["narrowed_by_roots"], !roots.is_empty());
    for path in readable {
        world.call("read_file", json!({"path": world.at(path)})).await;
    }
    for path in refused {
        let said = world.refusal("read_file", json!({"path": world.at(path)})).await;
        assert!(said.contains("outside the allowed directories"), "{said}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_name_its_roots_reaches_nothing() {
    let world = sharing(Era::Legacy, None).await;
    let said = world.refusal("read_file", json!({"path": world.at("a/f.txt")})).await;
    assert!(said.contains("did not name them"), "{said}");
}

#[rstest]
#[tokio::test]
async fn resources_keep_to_the_roots(#[values(Era::Legacy, Era::Modern)] era: Era) {
    let world = sharing(era, Some(&["/a/inner"])).await;
    let listed = world.client.list_all_resources().await.unwrap();
    assert!(listed.iter().all(|resource| resource.uri.ends_with("/a/inner/f.txt")), "{listed:?}");
    assert_eq!(listed.len(), usize::from(era == Era::Legacy));
    let inside = format!("file://{}", world.at("a/inner/f.txt"));
    world.client.read_resource(ReadResourceRequestParams::new(inside)).await.unwrap();
    let outside = format!("file://{}", world.at("b/f.txt"));
    assert!(world.client.read_resource(ReadResourceRequestParams::new(outside)).await.is_err());
}
