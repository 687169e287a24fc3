//! `tsedge region`: build, look at, check, compare, sign and install region packs.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};

use super::Outcome;
use crate::config::{self, ConfigFile};
use crate::delivery::Item;
use crate::delivery::rollout::Parcel;
use crate::model::card::Kind;
use crate::model::{Card, OnnxRuntime, TextModel};
use crate::region::build::{Builder, TextHead};
use crate::region::diff::diff;
use crate::region::install::{install, write_atomically, write_pack};
use crate::region::pack::{RowType, read_bytes, sha256};
use crate::region::sign::{Signatures, Signed, Trust, new_keys, sign, signature_path};
use crate::region::{Pack, PackStore};

/// Builds, checks, compares, signs and installs region packs.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: tsedge region build models/prompts/DE.toml --out DE.safetensors\n\
    docs/regions.md walks through adding a country."
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a pack from a prompt file, with the text encoder.
    Build(Build),
    /// Print what a pack holds.
    Inspect {
        /// A pack.
        pack: PathBuf,
        /// Print the classes too.
        #[arg(long)]
        classes: bool,
    },
    /// Check packs as the runtime would; exit code 1 when one is refused.
    Verify {
        /// Packs.
        #[arg(required = true)]
        packs: Vec<PathBuf>,
        #[command(flatten)]
        trust: TrustArgs,
        /// Folder with the models.
        #[arg(long, value_name = "DIR")]
        models: Option<PathBuf>,
    },
    /// Print what differs between two packs; exit code 1 when something does.
    Diff {
        /// The pack before.
        old: PathBuf,
        /// The pack after.
        new: PathBuf,
    },
    /// Sign a pack, or a bundle of models: writes PACK.minisig.
    Sign(Sign),
    /// Make a pair of signing keys: NAME.key to keep, NAME.pub to give away.
    Keygen {
        /// Path of the keys, without ending.
        name: PathBuf,
        /// A file with the password that guards the secret key; without it the key has none.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Check a pack and put it into the pack folder, that of [packs] `installed` where --config has it; the
    /// pack before is kept. A running unit reads by it within a second.
    Install {
        /// A pack; its signature beside it goes along.
        pack: PathBuf,
        #[command(flatten)]
        trust: TrustArgs,
        /// Folder with the models and `packs`.
        #[arg(long, value_name = "DIR")]
        models: Option<PathBuf>,
    },
    /// List the packs of a folder.
    List {
        /// The folder; that of the models by default.
        folder: Option<PathBuf>,
        /// Folder with the models.
        #[arg(long, value_name = "DIR")]
        models: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
struct Build {
    /// A prompt file, such as models/prompts/DE.toml.
    prompts: PathBuf,
    /// Where to write the pack.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// WORLD.toml; the one beside the prompt file by default.
    #[arg(long, value_name = "TOML")]
    world: Option<PathBuf>,
    /// A pack for the same encoder that lends calibration and background; WORLD's by default.
    #[arg(long, value_name = "PACK")]
    base: Option<PathBuf>,
    /// Version written into the pack.
    #[arg(long, default_value = "1")]
    pack_version: String,
    /// How rows are stored.
    #[arg(long, value_enum, default_value_t)]
    rows: RowType,
    /// Folder with the models.
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// The ONNX Runtime library; else the usual folders are searched.
    #[arg(long, value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Sign {
    /// A pack, or a bundle of models.
    pack: PathBuf,
    /// The secret key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A file with the key's password, if it has one.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct TrustArgs {
    /// Refuse what is not signed by this public key, in base64 (may be repeated).
    #[arg(long, value_name = "KEY")]
    public_key: Vec<String>,
    /// A configuration file whose [packs] section says which keys are trusted.
    #[arg(long, value_name = "TOML", conflicts_with = "public_key")]
    config: Option<PathBuf>,
}

impl TrustArgs {
    fn trust(&self) -> anyhow::Result<Trust> {
        match &self.config {
            Some(path) => {
                let packs = ConfigFile::read(path)?.packs;
                let keys = packs.public_keys.unwrap_or_default();
                Trust::new(packs.signatures.unwrap_or_default(), &keys)
                    .with_context(|| path.display().to_string())
            }
            None if self.public_key.is_empty() => Ok(Trust::default()),
            None => Trust::new(Signatures::Required, &self.public_key),
        }
    }

    /// The folder for packs that the configuration names.
    fn installed(&self) -> anyhow::Result<Option<PathBuf>> {
        let config = ConfigFile::read_or_default(self.config.as_deref())?;
        Ok(config.packs.installed)
    }
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    match &args.command {
        Command::Build(args) => build(args)?,
        Command::Inspect { pack, classes } => inspect(pack, *classes)?,
        Command::Verify {
            packs,
            trust,
            models,
        } => verify(packs, trust, models.as_deref())?,
        Command::Diff { old, new } => {
            let lines = diff(&Pack::read(old)?.0, &Pack::read(new)?.0);
            for line in &lines {
                say!("{line}");
            }
            ensure!(lines.is_empty(), "the packs differ");
        }
        Command::Sign(args) => sign_pack(args)?,
        Command::Keygen {
            name,
            password_file,
        } => keygen(name, password_file.as_deref())?,
        Command::Install {
            pack,
            trust: trust_args,
            models,
        } => {
            let folder = config::models_folder(models.as_deref())?;
            let card = Card::read(&folder.join("encoder.toml"), Kind::Encoder)?;
            let trust = trust_args.trust()?;
            check(pack, &trust, &card)?;
            let packs = match trust_args.installed()? {
                Some(packs) => packs,
                None => folder.join("packs"),
            };
            std::fs::create_dir_all(&packs).with_context(|| packs.display().to_string())?;
            let target = install(pack, &packs, &trust)?;
            say!("installed as {}", target.display());
        }
        Command::List { folder, models } => {
            let folder = match folder {
                Some(folder) => folder.clone(),
                None => config::models_folder(models.as_deref())?.join("packs"),
            };
            list(&folder)?;
        }
    }
    Ok(Outcome::Done)
}

fn build(args: &Build) -> anyhow::Result<()> {
    let folder = config::models_folder(args.models.as_deref())?;
    let runtime = OnnxRuntime::load(args.onnxruntime.as_deref())?;
    let text = TextModel::load(&runtime, &folder.join("text.toml"))?;
    let head = TextHead::read(&folder.join("text_head.safetensors"), text.sha256())?;
    let world = match &args.world {
        Some(path) => path.clone(),
        None => args.prompts.with_file_name("WORLD.toml"),
    };
    let base = args.base.clone();
    let base = base.unwrap_or_else(|| folder.join("packs/WORLD.safetensors"));
    let (base, _) = Pack::read(&base)?;
    let mut builder = Builder { text, head };
    let mut pack = builder.build(&args.prompts, &world, &base)?;
    pack.version.clone_from(&args.pack_version);
    let bytes = write_pack(&pack, args.rows, &args.out)?;
    say!(
        "{}: {} classes, {} sentences, {} rows from {}, {bytes} bytes",
        args.out.display(),
        pack.classes.len(),
        pack.text.class_of.len(),
        pack.image.class_of.len(),
        base.region
    );
    Ok(())
}

fn inspect(path: &Path, classes: bool) -> anyhow::Result<()> {
    let (pack, bytes) = Pack::read(path)?;
    let line = |what: &str, value: &dyn std::fmt::Display| -> anyhow::Result<()> {
        say!("{what:<16} {value}");
        Ok(())
    };
    line("region", &pack.region)?;
    line("version", &pack.version)?;
    line("sha256", &sha256(&bytes))?;
    line("encoder_sha256", &pack.encoder_sha256)?;
    line("bytes", &bytes.len())?;
    let (text, image) = (pack.text.class_of.len(), pack.image.class_of.len());
    line(
        "rows",
        &format!("{text} text, {image} image, of {}", pack.dim()),
    )?;
    line("classes", &pack.classes.len())?;
    let c = &pack.calibration;
    let (scale, p, cosine) = (c.scale, c.min_probability, c.min_cosine);
    let own = c.min_probability_of.len();
    line(
        "calibration",
        &format!(
            "scale {scale}, min_probability {p} ({own} classes have their own), min_cosine {cosine}"
        ),
    )?;
    if let Some(rules) = &pack.rules {
        line("rules", rules)?;
    }
    for (key, value) in &pack.notes {
        line(key, value)?;
    }
    let signed = signature_path(path).is_file();
    line(
        "signature",
        &if signed {
            "beside it; `verify` checks it"
        } else {
            "none"
        },
    )?;
    if classes {
        say!("");
        for class in &pack.classes {
            let code = class.national_code.as_deref().unwrap_or("-");
            say!("{:<28} {code:<12} {}", class.key, class.label_local);
        }
    }
    Ok(())
}

/// What the runtime would say to it: the pack and its signature.
fn check(path: &Path, trust: &Trust, card: &Card) -> anyhow::Result<(Pack, Signed)> {
    let check = || {
        let bytes = read_bytes(path)?;
        let signed = trust.check(path, &bytes)?;
        let pack = Pack::parse(&bytes)?;
        pack.check_encoder(&card.spec.sha256, card.dim())?;
        Ok((pack, signed))
    };
    check().map_err(|e: String| anyhow::anyhow!("{}: {e}", path.display()))
}

fn verify(packs: &[PathBuf], trust: &TrustArgs, models: Option<&Path>) -> anyhow::Result<()> {
    let trust = trust.trust()?;
    let folder = config::models_folder(models)?;
    let card = Card::read(&folder.join("encoder.toml"), Kind::Encoder)?;
    let mut refused = 0;
    for path in packs {
        match check(path, &trust, &card) {
            Ok((pack, signed)) => {
                let signed = match signed {
                    Signed::By { key, comment } => format!("signed by {key} ({comment})"),
                    Signed::Unchecked => "signed, but no public key was given".to_owned(),
                    Signed::No => "not signed".to_owned(),
                };
                let (path, region, version) = (path.display(), pack.region, pack.version);
                say!("{path}: sound, {region} version {version}, {signed}");
            }
            Err(error) => {
                refused += 1;
                say!("{error}: REFUSED");
            }
        }
    }
    if refused > 0 {
        bail!("{refused} of {} packs refused", packs.len());
    }
    Ok(())
}

fn password(file: Option<&Path>) -> anyhow::Result<Option<String>> {
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    };
    file.map(read).transpose()
}

fn keygen(name: &Path, password_file: Option<&Path>) -> anyhow::Result<()> {
    let path = |ending: &str| PathBuf::from(format!("{}.{ending}", name.display()));
    let (public, secret) = new_keys(password(password_file)?)?;
    for (ending, text) in [("pub", &public), ("key", &secret)] {
        let path = path(ending);
        // A key written over is lost for good.
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(
            &mut options,
            if ending == "key" { 0o600 } else { 0o644 },
        );
        let written = options.open(&path).and_then(|mut file| {
            std::io::Write::write_all(&mut file, text.as_bytes())?;
            file.sync_all()
        });
        written.with_context(|| path.display().to_string())?;
    }
    say!(
        "secret key {}, public key {}",
        path("key").display(),
        path("pub").display()
    );
    say!(
        "for the configuration: [packs] public_keys = [\"{}\"]",
        public.lines().nth(1).unwrap_or_default()
    );
    Ok(())
}

#[allow(clippy::disallowed_methods)] // the time of signing is what tells the newer of two packs
fn sign_pack(args: &Sign) -> anyhow::Result<()> {
    let bytes = read_bytes(&args.pack);
    let parcel = bytes.and_then(|bytes| Parcel::new(bytes, String::new()));
    let parcel = parcel.map_err(|e| anyhow::anyhow!("{}: {e}", args.pack.display()))?;
    let what = match parcel.item {
        Item::Pack(region) => format!("region {region}"),
        Item::Models => "models".to_owned(),
    };
    let version = &parcel.version;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let comment = format!("{what} version {version} timestamp:{now}");
    let password = password(args.password_file.as_deref())?;
    let signature = sign(&parcel.bytes, &args.key, password, &comment)?;
    let path = signature_path(&args.pack);
    write_atomically(&path, signature.as_bytes()).with_context(|| path.display().to_string())?;
    say!("{}", path.display());
    Ok(())
}

fn list(folder: &Path) -> anyhow::Result<()> {
    let store = PackStore::new(folder, "", 0);
    say!(
        "{:<8} {:<8} {:>7} {:>7} {:<7} {:<8} sha256",
        "region",
        "version",
        "classes",
        "rows",
        "signed",
        "previous"
    );
    for region in store
        .regions()
        .with_context(|| folder.display().to_string())?
    {
        let path = store.path_of(region);
        let signed = if signature_path(&path).is_file() {
            "yes"
        } else {
            "no"
        };
        let kept = crate::region::install::previous_path(&path).is_file();
        let previous = if kept { "kept" } else { "none" };
        let checked =
            read_bytes(&path).and_then(|bytes| Ok((Pack::parse(&bytes)?, sha256(&bytes))));
        match checked {
            Ok((pack, sum)) => say!(
                "{:<8} {:<8} {:>7} {:>7} {signed:<7} {previous:<8} {}",
                region,
                pack.version,
                pack.classes.len(),
                pack.text.class_of.len() + pack.image.class_of.len(),
                &sum[..16]
            ),
            Err(reason) => say!("{region:<8} REFUSED: {reason}"),
        }
    }
    Ok(())
}
