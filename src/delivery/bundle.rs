//! A set of models as one file: a plain tar archive of what a unit needs to start.
//!
//! ```text
//! bundle.toml                        format and version; the first
//! detector.toml  detector.onnx
//! encoder.toml   encoder.onnx
//! packs/DE.safetensors               for this encoder, WORLD among them, each with its signature where it has one
//! ```
//!
//! Nothing else may be in it: plain files of these names, each once. It is read as a stream, and what it says of
//! itself is checked as a start would: cards against models, packs against the encoder.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::model::Card;
use crate::model::card::Kind;
use crate::region::PackStore;
use crate::region::install::sync_folder;
use crate::region::sign::{Trust, signature_path};
use crate::units::RegionCode;

const FORMAT: &str = "tsedge-models/1";
const MANIFEST: &str = "bundle.toml";
const MAX_MANIFEST_BYTES: u64 = 4096;
const MAX_VERSION_BYTES: usize = 100;
/// Each with its card.
const MODELS: [(&str, Kind); 2] = [("detector", Kind::Detector), ("encoder", Kind::Encoder)];
const PACKS: &str = "packs";
/// Of 512 regions with their signatures, and the models.
const MOST_FILES: usize = 1100;
/// Where an archive's first header says what it is.
const MAGIC: std::ops::Range<usize> = 257..262;

/// What a bundle says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: String,
    /// For people.
    pub version: String,
}

impl Manifest {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let manifest: Self = toml::from_str(text).context(MANIFEST)?;
        let (format, version) = (&manifest.format, &manifest.version);
        ensure!(
            format == FORMAT,
            "{MANIFEST}: format is {format}, expected {FORMAT}"
        );
        check_version(version).context(MANIFEST)?;
        Ok(manifest)
    }

    /// The one at the beginning of a bundle; nothing else of it is read.
    pub fn of(bundle: &[u8]) -> anyhow::Result<Self> {
        let mut archive = tar::Archive::new(bundle);
        let first = archive.entries()?.raw(true).next();
        manifest(&mut first.context("is empty")??)
    }
}

/// Whether a file's bytes are those of an archive, rather than of a pack.
pub fn is_bundle(bytes: &[u8]) -> bool {
    bytes.get(MAGIC).is_some_and(|magic| magic == b"ustar")
}

fn check_version(version: &str) -> anyhow::Result<()> {
    ensure!(
        (1..=MAX_VERSION_BYTES).contains(&version.len()) && !version.contains(char::is_control),
        "version is `{}`, expected a few words",
        version.escape_debug()
    );
    Ok(())
}

fn manifest(entry: &mut tar::Entry<'_, impl Read>) -> anyhow::Result<Manifest> {
    ensure!(
        &*entry.path_bytes() == MANIFEST.as_bytes(),
        "does not begin with {MANIFEST}"
    );
    let mut text = String::new();
    entry.take(MAX_MANIFEST_BYTES).read_to_string(&mut text)?;
    Manifest::parse(&text)
}

/// The bytes of a bundle of the models in `folder`; the same folder gives the same bytes.
pub fn pack(folder: &Path, version: &str) -> anyhow::Result<Vec<u8>> {
    check_version(version)?;
    let regions = check(folder, &Trust::default())?;
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        version: version.to_owned(),
    };
    let mut archive = tar::Builder::new(Vec::new());
    let mut put = |name: &str, bytes: &[u8]| -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes)
    };
    put(MANIFEST, toml::to_string(&manifest)?.as_bytes())?;
    let models =
        (MODELS.iter()).flat_map(|(name, _)| ["toml", "onnx"].map(|e| format!("{name}.{e}")));
    let packs = regions.iter().map(|region| pack_name(*region));
    for name in models.chain(packs) {
        let path = folder.join(&name);
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        put(&name, &bytes)?;
        if let Ok(signature) = std::fs::read(signature_path(&path)) {
            put(&format!("{name}.minisig"), &signature)?;
        }
    }
    Ok(archive.into_inner()?)
}

fn pack_name(region: RegionCode) -> String {
    format!("{PACKS}/{region}.safetensors")
}

/// Whether a file of this name belongs into a bundle.
fn belongs(name: &str) -> bool {
    if let Some(pack) = name.strip_prefix("packs/") {
        let region = pack.strip_suffix(".minisig").unwrap_or(pack);
        let region = region.strip_suffix(".safetensors");
        return region.is_some_and(|region| RegionCode::parse(region).is_some());
    }
    let (name, ending) = name.rsplit_once('.').unwrap_or_default();
    MODELS.iter().any(|(model, _)| *model == name) && ["toml", "onnx"].contains(&ending)
}

/// Writes what is in a bundle into `folder`, which is made for it, and checks it; all of it is on the disk then.
pub fn unpack(bundle: &Path, folder: &Path, trust: &Trust) -> anyhow::Result<Manifest> {
    std::fs::create_dir_all(folder.join(PACKS)).with_context(|| folder.display().to_string())?;
    let file = File::open(bundle).with_context(|| bundle.display().to_string())?;
    let mut archive = tar::Archive::new(BufReader::new(file));
    // Raw: whatever could name a file otherwise than by its own header is an entry that is not plain.
    let mut entries = archive.entries()?.raw(true);
    let manifest = manifest(&mut entries.next().context("is empty")??)?;
    let mut names = BTreeSet::new();
    for entry in entries {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        ensure!(
            kind == tar::EntryType::Regular,
            "`{}` is not a plain file",
            name.escape_debug()
        );
        ensure!(
            belongs(&name) && names.len() < MOST_FILES,
            "`{}` does not belong into a bundle of models",
            name.escape_debug()
        );
        write(&mut entry, &folder.join(&name)).with_context(|| name.clone())?;
        ensure!(names.insert(name.clone()), "{name} is there twice");
    }
    sync_folder(&folder.join(PACKS).join("any"))?;
    sync_folder(&folder.join("any"))?;
    check(folder, trust)?;
    Ok(manifest)
}

/// What is written is no more than the bundle holds: an archive that is not compressed cannot grow.
fn write(entry: &mut tar::Entry<'_, impl Read>, path: &Path) -> anyhow::Result<()> {
    let size = entry.size();
    let mut file = BufWriter::new(File::create(path)?);
    let written = io::copy(entry, &mut file)?;
    ensure!(written == size, "is cut off");
    file.flush()?;
    file.get_ref().sync_all()?;
    Ok(())
}

/// Whether a folder of models is whole, and its files fit together: the regions of its packs.
pub fn check(folder: &Path, trust: &Trust) -> anyhow::Result<Vec<RegionCode>> {
    let mut cards = Vec::new();
    for (name, kind) in MODELS {
        let card = Card::read(&folder.join(format!("{name}.toml")), kind)?;
        let file = format!("{name}.onnx");
        ensure!(
            card.spec.file == Path::new(&file),
            "{name}.toml: file is {}, in a bundle it is {file}",
            card.spec.file.display()
        );
        card.model_bytes()?;
        cards.push(card);
    }
    let [_, encoder] = &cards[..] else {
        bail!("a model is missing");
    };
    let store = PackStore::new(&folder.join(PACKS), &encoder.spec.sha256, encoder.dim());
    let store = store.with_trust(trust.clone());
    let regions = store.regions().context(PACKS)?;
    ensure!(
        regions.contains(&RegionCode::WORLD),
        "{} is missing",
        pack_name(RegionCode::WORLD)
    );
    for region in &regions {
        store.read(&store.path_of(*region), *region)?;
    }
    Ok(regions)
}
