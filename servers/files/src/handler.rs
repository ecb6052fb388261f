//! The MCP side: which tools there are, and what each call may reach.

use std::sync::{Arc, Mutex};

use portico_kit::tool::{self, Answer, Effect, ToolError, define};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, Implementation, InputRequiredResult, InputResponses,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
        ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use crate::{
    area::Area,
    config::Config,
    edit, info, list, read, resources,
    roots::{self, Roots},
    search, write,
};

/// Calls that work on files at the same time; more of them only wait for the same disk.
const MAX_WORKING: usize = 16;

/// The server's handler; clones share everything.
#[derive(Clone)]
pub struct Files {
    area: Arc<Area>,
    tools: Arc<Vec<Tool>>,
    working: Arc<Semaphore>,
}

/// What a call may reach, or what has to be asked first.
enum Reach {
    Area(Arc<Area>),
    Ask(InputRequiredResult),
}

impl Files {
    /// A handler for the directories of `config`.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let area = Area {
            places: config.places,
            narrowed: false,
            writable: config.writable,
            max_bytes: config.max_bytes,
            writing: Arc::new(Mutex::new(())),
        };
        let mut tools = reading_tools();
        if area.writable {
            tools.extend(writing_tools());
        }
        Self { area: Arc::new(area), tools: Arc::new(tools), working: Arc::new(Semaphore::new(MAX_WORKING)) }
    }

    async fn reach(
        &self,
        context: &RequestContext<RoleServer>,
        responses: Option<&InputResponses>,
    ) -> Result<Reach, ToolError> {
        let roots = match roots::of_client(context, responses).await {
            Roots::None => return Ok(Reach::Area(Arc::clone(&self.area))),
            Roots::Ask(question) => return Ok(Reach::Ask(question)),
            Roots::Only(roots) => roots,
            Roots::Unknown(reason) => {
                return Err(ToolError::Refused(format!(
                    "the client shares roots and did not name them ({reason}), so nothing can be reached"
                )));
            }
        };
        let places = roots::narrow(&self.area.places, &roots);
        Ok(Reach::Area(Arc::new(Area { places, narrowed: true, ..Area::clone(&self.area) })))
    }

    /// Runs `work` where blocking is allowed.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ToolError> + Send + 'static,
    ) -> Result<T, ToolError> {
        let internal = |error: &dyn std::fmt::Display| ToolError::Internal(error.to_string());
        let permit = Arc::clone(&self.working).acquire_owned().await.map_err(|error| internal(&error))?;
        let task = tokio::task::spawn_blocking(move || {
            // Held until the work ends, also when the caller has gone.
            let _permit = permit;
            work()
        });
        task.await.map_err(|error| internal(&error))?
    }

    async fn call(&self, area: Arc<Area>, request: CallToolRequestParams) -> Result<Answer, ToolError> {
        match request.name.as_ref() {
            "list_allowed_directories" => self.run(area, request, info::allowed).await,
            "list_directory" => self.run(area, request, list::list_directory).await,
            "file_info" => self.run(area, request, info::file_info).await,
            "read_file" => self.run(area, request, read::read_file).await,
            "search_files" => self.run(area, request, search::search_files).await,
            "write_file" => self.run(area, request, write::write_file).await,
            "edit_file" => self.run(area, request, edit::edit_file).await,
            other => Err(ToolError::Internal(format!("tool `{other}` is listed and not written"))),
        }
    }

    async fn run<In: DeserializeOwned + Send + 'static>(
        &self,
        area: Arc<Area>,
        request: CallToolRequestParams,
        work: fn(&Area, &In) -> Result<Answer, ToolError>,
    ) -> Result<Answer, ToolError> {
        let arguments: In = tool::arguments(request.arguments)?;
        self.blocking(move || work(&area, &arguments)).await
    }
}

fn reading_tools() -> Vec<Tool> {
    vec![
        define::<info::NoArguments, info::Allowed>(
            "list_allowed_directories",
            "Allowed directories",
            "Lists the directories that can be reached, and the limits.",
            Effect::Reads,
        ),
        define::<list::ListRequest, list::Listing>(
            "list_directory",
            "List a directory",
            "Lists the entries of a directory in order of names, with kind, size and time.",
            Effect::Reads,
        ),
        define::<info::InfoRequest, info::Info>(
            "file_info",
            "File information",
            "Tells the kind, size, time and permissions of a file or directory.",
            Effect::Reads,
        ),
        define::<read::ReadRequest, read::Reading>(
            "read_file",
            "Read a file",
            "Reads a file, or a range of its bytes or lines. What is not text comes as a base64 resource.",
            Effect::Reads,
        ),
        define::<search::SearchRequest, search::Found>(
            "search_files",
            "Search files",
            "Finds files by a glob over names and lines by a regular expression. Links are not followed.",
            Effect::Reads,
        ),
    ]
}

fn writing_tools() -> Vec<Tool> {
    vec![
        define::<write::WriteRequest, write::Written>(
            "write_file",
            "Write a file",
            "Creates a file or replaces its whole content at once.",
            Effect::Replaces,
        ),
        define::<edit::EditRequest, edit::Edited>(
            "edit_file",
            "Edit a file",
            "Replaces exact pieces of text and shows the diff; dry_run shows it without writing.",
            Effect::Changes,
        ),
    ]
}

/// A file that cannot be read is, to a client that asks by address, not there; wrong addresses are its fault.
fn resource_error(error: &ToolError) -> ErrorData {
    match error {
        ToolError::Invalid { .. } => ErrorData::invalid_params(error.to_string(), None),
        ToolError::Internal(_) => ErrorData::internal_error(error.to_string(), None),
        _ => ErrorData::resource_not_found(error.to_string(), None),
    }
}

impl ServerHandler for Files {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("portico-files", env!("CARGO_PKG_VERSION")))
            .with_instructions(
                "Files of allowed directories; list_allowed_directories names them. Paths are absolute, or \
                 relative where there is one directory.",
            )
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.to_vec()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if self.get_tool(&request.name).is_none() {
            return Err(tool::unknown(&request.name));
        }
        let result = match self.reach(&context, request.input_responses.as_ref()).await {
            Ok(Reach::Area(area)) => self.call(area, request).await,
            Ok(Reach::Ask(question)) => return Ok(question.into()),
            Err(error) => Err(error),
        };
        tool::respond(result, &context)
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        // A list cannot ask for input, and must not show what the client's roots leave out.
        if roots::is_modern(&context) && roots::shares(&context) {
            return Ok(ListResourcesResult::default());
        }
        let listed = match self.reach(&context, None).await {
            Ok(Reach::Area(area)) => self.blocking(move || Ok(resources::list(&area))).await,
            Ok(Reach::Ask(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        listed.map(ListResourcesResult::with_all_items).map_err(|error| resource_error(&error))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(vec![resources::template()]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let reach = self.reach(&context, request.input_responses.as_ref()).await;
        match reach.map_err(|error| resource_error(&error))? {
            Reach::Ask(question) => Ok(ReadResourceResponse::InputRequired(question)),
            Reach::Area(area) => {
                let read = self.blocking(move || resources::read(&area, &request.uri)).await;
                read.map(Into::into).map_err(|error| resource_error(&error))
            }
        }
    }
}
