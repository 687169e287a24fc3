//! The text encoder: a sentence in, an embedding of unit length out. Needed to build packs, never to drive.
//!
//! `models/text.toml` describes it: an ONNX graph of ids and mask, and the tokeniser's file.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use ort::session::Session;
use ort::value::Tensor;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::card::hex;
use super::runtime::OnnxRuntime;
use super::session::exact;
use super::wordpiece::WordPiece;

/// The card `text.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextCard {
    format: String,
    kind: String,
    #[allow(dead_code)] // for people
    name: String,
    file: PathBuf,
    sha256: String,
    size_bytes: u64,
    #[allow(dead_code)]
    licence: String,
    text: TextInput,
    output: TextOutput,
    #[allow(dead_code)]
    #[serde(default)]
    provenance: toml::Table,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextInput {
    ids: String,
    mask: String,
    dtype: String,
    max_tokens: usize,
    tokenizer: PathBuf,
    tokenizer_sha256: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextOutput {
    name: String,
    dim: usize,
}

/// See the module.
pub struct TextModel {
    card: TextCard,
    session: Session,
    tokenizer: WordPiece,
}

impl TextModel {
    /// Loads the model that the card at `path` describes; its files must have the sums it names.
    pub fn load(runtime: &OnnxRuntime, path: &Path) -> anyhow::Result<Self> {
        let card = (|| {
            let card: TextCard = toml::from_str(&std::fs::read_to_string(path)?)?;
            ensure!(
                card.format == "tsedge-model/1" && card.kind == "text",
                "is {} {}, expected tsedge-model/1 text",
                card.format,
                card.kind
            );
            ensure!(
                card.text.dtype == "i64",
                "text.dtype is {}, expected i64",
                card.text.dtype
            );
            Ok(card)
        })()
        .with_context(|| path.display().to_string())?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let read = |file: &Path, expected: &str| {
            let file = folder.join(file);
            let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
            let found = hex(&Sha256::digest(&bytes));
            if found != expected {
                bail!("{}: sha256 is {found}, expected {expected}", file.display());
            }
            Ok(bytes)
        };
        let graph = read(&card.file, &card.sha256)?;
        ensure!(
            graph.len() as u64 == card.size_bytes,
            "{}: size_bytes is not that of the model",
            path.display()
        );
        let tokenizer = read(&card.text.tokenizer, &card.text.tokenizer_sha256)?;
        let tokenizer = WordPiece::parse(&tokenizer, card.text.max_tokens)
            .with_context(|| folder.join(&card.text.tokenizer).display().to_string())?;
        let open = || -> ort::Result<Session> {
            exact(Session::builder(runtime.environment())?)?
                .with_intra_threads(1)?
                .commit_from_memory(&graph)
        };
        let session = open().with_context(|| folder.join(&card.file).display().to_string())?;
        Ok(Self {
            card,
            session,
            tokenizer,
        })
    }

    /// SHA-256 of the ONNX file.
    pub fn sha256(&self) -> &str {
        &self.card.sha256
    }

    /// Length of an embedding.
    pub fn dim(&self) -> usize {
        self.card.output.dim
    }

    /// The embedding of a sentence.
    pub fn embed(&mut self, sentence: &str) -> anyhow::Result<Vec<f32>> {
        let ids = self.tokenizer.ids(sentence);
        let (count, mask) = (ids.len(), vec![1_i64; ids.len()]);
        let text = &self.card.text;
        let ids = Tensor::from_array(([1, count], ids))?;
        let mask = Tensor::from_array(([1, count], mask))?;
        let inputs = ort::inputs![text.ids.as_str() => ids, text.mask.as_str() => mask];
        let outputs = self.session.run(inputs)?;
        let name = self.card.output.name.as_str();
        let output =
            (outputs.get(name)).with_context(|| format!("the model has no output `{name}`"))?;
        let (shape, values) = output.try_extract_tensor::<f32>()?;
        ensure!(
            values.len() == self.card.output.dim,
            "the model gives {shape:?}, its card says {}",
            self.card.output.dim
        );
        Ok(values.to_vec())
    }
}
