//! Keys of the labels and annotations that Portico writes or reads.

/// Name of the program, the same on every pod of one kind of workload.
pub const NAME: &str = "app.kubernetes.io/name";
/// Name of the custom resource that a child belongs to. Tools that follow Git know their own objects by this label, so only
/// children that name their owner carry it: those they leave alone.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// The same on a child that names no owner because it outlives it.
pub const LASTING_INSTANCE: &str = "portico.dev/instance";
/// Annotation by which Argo CD asks whether it may delete an object.
pub const ARGO_CD_SYNC_OPTIONS: &str = "argocd.argoproj.io/sync-options";
/// Value of [`ARGO_CD_SYNC_OPTIONS`] on what outlives its owner: neither with a sync nor with its Application.
pub const ARGO_CD_KEEPS: &str = "Prune=false,Delete=false";
/// Role of a child within its resource.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// The product that a child is part of.
pub const PART_OF: &str = "app.kubernetes.io/part-of";
/// Who writes a child. The operator watches only children that carry [`OPERATOR`] here.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`] on everything the operator writes.
pub const OPERATOR: &str = "portico-operator";
/// Value of [`PART_OF`].
pub const PORTICO: &str = "portico";
/// Label that says which `McpServer` a pod, Service or EndpointSlice serves.
pub const MCP_SERVER: &str = "portico.dev/mcp-server";
/// Label that says which `InferenceModel` a pod serves, or fetches the file of.
pub const INFERENCE_MODEL: &str = "portico.dev/inference-model";
/// Label of a model's pods and Deployments: the revision that they serve. The Service of a model selects one.
pub const REVISION: &str = "portico.dev/revision";
/// Label of the pods that use one volume that a single node can have: they are kept together by it.
pub const MODEL_VOLUME: &str = "portico.dev/model-volume";
/// Annotation on a model's volume: digest of the source whose file lies there whole.
pub const ARTIFACT: &str = "portico.dev/artifact";
/// Annotation on a model's Deployment: where its model came from, for the status.
pub const MODEL_SOURCE: &str = "portico.dev/model-source";
/// Label of the gateway's own pods. Servers and models accept traffic from pods with this label and from those with [`OPERATOR_POD`], of
/// any namespace unless the operator is told which, and from no others.
pub const GATEWAY: &str = "portico.dev/gateway";
/// Annotation on a pod template: digest of the Secrets and ConfigMaps that its pods read.
pub const INPUTS_DIGEST: &str = "portico.dev/inputs-digest";
/// Annotation on a custom resource: `"true"` asks the operator to leave its children alone.
pub const PAUSED: &str = "portico.dev/paused";
/// Annotation on a custom resource: a new value, such as the time, restarts its pods once.
pub const RESTARTED_AT: &str = "portico.dev/restarted-at";
/// Annotation on a Deployment: the image of Portico's own that its pods run.
pub const PORTICO_IMAGE: &str = "portico.dev/image";
/// Annotation on a Deployment: digest of its pod template. While it leads to the same with [`PORTICO_IMAGE`], a newer
/// operator leaves the pods on the image they run.
pub const TEMPLATE_DIGEST: &str = "portico.dev/template-digest";
/// Annotation on a child: digest of what the operator last applied, by which the next operator knows that there is
/// nothing to write.
pub const APPLIED: &str = "portico.dev/applied";
/// Label of the operator's own pods, which may read the health of the servers they watch over.
pub const OPERATOR_POD: &str = "portico.dev/operator";
/// Annotation on a `KrogerIntegration`: a new value, such as the date, asks for a new key to seal sessions with.
pub const ROTATE_KEYS: &str = "portico.dev/rotate-keys";
/// Annotation on an `McpServer` with `tools.pin`: digest of the list of tools that is approved, as the condition
/// `ToolsApproved` and `status.catalog.digest` give it.
pub const APPROVED_TOOLS: &str = "portico.dev/approved-tools-digest";
/// Annotation on the definitions: the version of Portico that they belong to.
pub const BUNDLE_VERSION: &str = "portico.dev/bundle-version";
/// Annotation on a Secret with keys: the value of [`ROTATE_KEYS`] that its newest key was made for.
pub const ROTATED_FOR: &str = "portico.dev/rotated-for";
/// Annotation on an `McpServer` or `InferenceModel`: a new value, such as the time, gives the number of its pods, which
/// somebody has set by hand, back to the gateway.
pub const TAKE_REPLICAS: &str = "portico.dev/take-replicas";
/// Label of pods that serve: [`SERVES`], or [`DRAINING`] on one that is to go. The Services of servers and models select it, so
/// that the gateway can take a pod out of them before it goes.
pub const SERVING: &str = "portico.dev/serving";
/// Value of [`SERVING`] on a pod that takes new calls.
pub const SERVES: &str = "true";
/// Value of [`SERVING`] on a pod that is to go, and finishes what it has in hand.
pub const DRAINING: &str = "draining";
/// Annotation of Kubernetes on a pod: of those with the lowest number the first ones go when a Deployment is made smaller.
pub const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
