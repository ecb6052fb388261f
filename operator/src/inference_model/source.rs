//! Where a model's weights come from, where they are kept, and by what names. Pure.

use portico_crds::{
    InferenceModelSpec,
    inference_model::{AccessMode, ClaimCache, HuggingFace, UrlSource, WhenDeleted},
    mcp_server::{EmptyDir, Quantity},
    secret_value::SecretValue,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::reference::hex;

/// Size of the volume of a model whose size nobody knows.
const DEFAULT_SIZE: &str = "20Gi";
/// Smallest volume that is asked for by default.
const SMALLEST_SIZE: i64 = 1 << 30;
/// Directory in which the engine finds its model, and a download puts it.
pub const DIRECTORY: &str = "/model";

/// How the weights get to the engine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weights<'a> {
    /// `portico fetch` downloads a file.
    File(Remote<'a>),
    /// vLLM loads a repository as a whole by itself.
    Repository(&'a HuggingFace),
    /// Ollama pulls the model by name.
    Library(&'a str),
    /// They lie on a volume that exists already.
    Claim {
        /// Name of the volume.
        name: &'a str,
        /// Path on it.
        path: &'a str,
    },
    /// They lie in an image.
    Image {
        /// Path in it.
        path: &'a str,
    },
    /// A service elsewhere has them.
    Elsewhere,
}

/// A file that is downloaded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Remote<'a> {
    /// From a web server.
    Url(&'a UrlSource),
    /// From a Hugging Face repository: with it, the path of the file.
    HuggingFace(&'a HuggingFace, &'a str),
}

impl Remote<'_> {
    /// The Secret with the token, if one is needed.
    #[must_use]
    pub const fn token(&self) -> Option<&SecretValue> {
        match self {
            Self::Url(url) => url.token_secret.as_ref(),
            Self::HuggingFace(repository, _) => repository.token_secret.as_ref(),
        }
    }

    /// Whether the spec says what the file must be.
    #[must_use]
    pub const fn is_verified(&self) -> bool {
        match self {
            Self::Url(_) => true,
            Self::HuggingFace(repository, _) => repository.sha256.is_some(),
        }
    }

    /// Name under which the file is kept: its own, in letters that every file system takes.
    fn file_name(&self) -> String {
        let path = match self {
            Self::Url(url) => url.url.split(['?', '#']).next().unwrap_or_default(),
            Self::HuggingFace(_, path) => path,
        };
        let last = path.rsplit('/').next().unwrap_or_default();
        let safe = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
        let name: String = last.chars().filter(safe).take(128).collect();
        match name.trim_start_matches(['.', '-']) {
            "" => "model".to_owned(),
            name => name.to_owned(),
        }
    }
}

/// Where downloaded weights are kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Storage {
    /// On a volume that outlives the pods.
    Claim {
        /// Size, access and fate.
        cache: ClaimCache,
        /// Digest of what may not change of it, and of the source: the same for the same content.
        digest: String,
    },
    /// In each pod.
    Scratch(EmptyDir),
    /// Nothing is downloaded.
    None,
}

/// How the weights get to the engine; `None` for a union that the schema refuses.
#[must_use]
pub fn weights(spec: &InferenceModelSpec) -> Option<Weights<'_>> {
    if spec.engine.external.is_some() {
        return Some(Weights::Elsewhere);
    }
    if let Some(ollama) = &spec.engine.ollama {
        return Some(Weights::Library(&ollama.model));
    }
    let source = spec.source.as_ref()?;
    if let Some(url) = &source.url {
        return Some(Weights::File(Remote::Url(url)));
    }
    if let Some(repository) = &source.hugging_face {
        return Some(match &repository.file {
            Some(file) => Weights::File(Remote::HuggingFace(repository, file)),
            None => Weights::Repository(repository),
        });
    }
    if let Some(claim) = &source.claim {
        return Some(Weights::Claim { name: &claim.name, path: &claim.path });
    }
    source.image.as_ref().map(|image| Weights::Image { path: &image.path })
}

/// Path of the model in the engine's container, where the engine is given one.
#[must_use]
pub fn path(weights: &Weights<'_>) -> Option<String> {
    match weights {
        Weights::File(remote) => Some(format!("{DIRECTORY}/{}", remote.file_name())),
        Weights::Claim { path, .. } | Weights::Image { path } => Some(format!("{DIRECTORY}/{path}")),
        Weights::Repository(_) | Weights::Library(_) | Weights::Elsewhere => None,
    }
}

/// Where the model comes from, for people: no query of a URL, which may hold a token.
#[must_use]
pub fn shown(spec: &InferenceModelSpec, weights: &Weights<'_>) -> String {
    let without_query = |url: &str| url.split('?').next().unwrap_or_default().to_owned();
    match weights {
        Weights::File(Remote::Url(url)) => without_query(&url.url),
        Weights::File(Remote::HuggingFace(of, file)) => {
            format!("hf:{}/{file}@{}", of.repository, of.revision)
        }
        Weights::Repository(of) => format!("hf:{}@{}", of.repository, of.revision),
        Weights::Library(model) => format!("ollama:{model}"),
        Weights::Claim { name, path } => format!("claim:{name}/{path}"),
        Weights::Image { path } => {
            let image = spec.source.as_ref().and_then(|source| source.image.as_ref());
            format!("image:{}/{path}", image.map(|image| image.reference.as_str()).unwrap_or_default())
        }
        Weights::Elsewhere => {
            spec.engine.external.as_ref().map(|external| without_query(&external.url)).unwrap_or_default()
        }
    }
}

/// Digest of the file that a download brings: what the annotation of its volume says.
#[must_use]
pub fn artifact(weights: &Weights<'_>) -> String {
    let parts = match weights {
        Weights::File(Remote::Url(url)) => vec!["url", &url.url, &url.sha256],
        Weights::File(Remote::HuggingFace(of, file)) => {
            let sum = of.sha256.as_deref().unwrap_or_default();
            vec!["huggingFace", &of.repository, file, &of.revision, sum]
        }
        Weights::Repository(of) => vec!["repository", &of.repository, &of.revision],
        Weights::Library(model) => vec!["ollama", model],
        Weights::Claim { .. } | Weights::Image { .. } | Weights::Elsewhere => Vec::new(),
    };
    digest(&parts, 32)
}

/// Where what is downloaded is kept.
#[must_use]
pub fn storage(spec: &InferenceModelSpec, weights: &Weights<'_>) -> Storage {
    if matches!(weights, Weights::Claim { .. } | Weights::Image { .. } | Weights::Elsewhere) {
        return Storage::None;
    }
    let given = spec.cache.clone().unwrap_or_default();
    if let Some(scratch) = given.empty_dir {
        return Storage::Scratch(scratch);
    }
    let cache = given.persistent_volume_claim.unwrap_or_else(|| ClaimCache {
        size: default_size(weights),
        storage_class_name: None,
        access_mode: AccessMode::default(),
        when_deleted: WhenDeleted::default(),
    });
    let class = cache.storage_class_name.as_deref().unwrap_or_default();
    let digest = digest(&(artifact(weights), class, cache.access_mode.as_str()), 8);
    Storage::Claim { cache, digest }
}

/// The file and a tenth; a volume's file system takes some of it.
fn default_size(weights: &Weights<'_>) -> Quantity {
    let known = match weights {
        Weights::File(Remote::Url(url)) => url.size_bytes,
        _ => None,
    };
    let mebibytes = |bytes: i64| (bytes.saturating_add(bytes / 10).max(SMALLEST_SIZE) >> 20) + 1;
    Quantity(known.map_or_else(|| DEFAULT_SIZE.to_owned(), |bytes| format!("{}Mi", mebibytes(bytes))))
}

/// The first `length` hexadecimal digits of what `content` hashes to.
#[must_use]
pub fn digest<T: Serialize>(content: &T, length: usize) -> String {
    let text = serde_json::to_string(content).unwrap_or_default();
    let mut digits = hex(&Sha256::digest(text));
    digits.truncate(length);
    digits
}
