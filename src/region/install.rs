//! Files that are whole or not there: written beside, synced, renamed, the folder synced.
//!
//! Installing a pack keeps the one before, if it is sound, as `X.safetensors.previous`, which the store falls
//! back to. At no moment is there no pack: power may fail between any two steps.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::pack::{Pack, PackError, RowType, read_bytes};
use super::sign::{Trust, signature_path, with_ending};

/// The last good pack beside the present one.
pub fn previous_path(pack: &Path) -> PathBuf {
    with_ending(pack, ".previous")
}

/// Writes a file so that after a power cut there is the old one or the new one.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = hidden(path, "new");
    let written = (|| {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        // What is left of it helps no one; the first error counts.
        let _ = fs::remove_file(&beside);
    }
    written?;
    sync_folder(path)
}

/// Writes a pack that the runtime takes; gives its size in bytes.
pub fn write_pack(pack: &Pack, rows: RowType, path: &Path) -> Result<usize, PackError> {
    let write = || {
        let bytes = pack.to_bytes(rows)?;
        // What is written must be what the runtime takes.
        Pack::parse(&bytes)?;
        write_atomically(path, &bytes).map_err(|e| e.to_string())?;
        Ok(bytes.len())
    };
    write().map_err(|reason| PackError {
        path: path.to_owned(),
        reason,
    })
}

/// Puts a checked pack, and its signature if there is one, into `folder` under its region's name.
/// Gives the path it has there.
pub fn install(source: &Path, folder: &Path, trust: &Trust) -> Result<PathBuf, PackError> {
    let refused = |reason: String| PackError {
        path: source.to_owned(),
        reason,
    };
    let bytes = read_bytes(source).map_err(refused)?;
    let signature = match fs::read_to_string(signature_path(source)) {
        Ok(signature) => Some(signature),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(refused(e.to_string())),
    };
    trust
        .check_text(signature.as_deref(), &bytes)
        .map_err(refused)?;
    let region = Pack::parse(&bytes).map_err(refused)?.region;
    let target = folder.join(format!("{region}.safetensors"));
    let placed = place(&target, &bytes, signature.as_deref(), trust);
    placed.map(|()| target.clone()).map_err(|e| PackError {
        path: target,
        reason: e.to_string(),
    })
}

/// Puts a pack that was checked in the place of `target`.
///
/// The signature goes first: a power cut between the two leaves the old pack with a signature that
/// does not fit, and the store takes the previous pack, which is the same one.
pub fn place(
    target: &Path,
    bytes: &[u8],
    signature: Option<&str>,
    trust: &Trust,
) -> io::Result<()> {
    // A damaged one must not push out the last good one.
    if target.is_file() && is_sound(target, trust) {
        let previous = previous_path(target);
        replace_link(&signature_path(target), &signature_path(&previous))?;
        replace_link(target, &previous)?;
        sync_folder(target)?;
    }
    match signature {
        Some(signature) => write_atomically(&signature_path(target), signature.as_bytes())?,
        None => remove(&signature_path(target))?,
    }
    write_atomically(target, bytes)
}

/// Puts the pack before back into its place; without one the pack is removed, and what came with the models
/// counts again. A power cut leaves a pack whose signature does not fit, and the store takes the one before.
pub fn put_back(target: &Path) -> io::Result<()> {
    let previous = previous_path(target);
    // Copied, not linked: who writes over the one later must not write over both.
    let Some(bytes) = read_if_there(&previous)? else {
        remove(target)?;
        remove(&signature_path(target))?;
        return sync_folder(target);
    };
    match read_if_there(&signature_path(&previous))? {
        Some(signature) => write_atomically(&signature_path(target), &signature)?,
        None => remove(&signature_path(target))?,
    }
    write_atomically(target, &bytes)
}

fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn is_sound(pack: &Path, trust: &Trust) -> bool {
    read_bytes(pack)
        .and_then(|bytes| {
            trust.check(pack, &bytes)?;
            Pack::parse(&bytes)
        })
        .is_ok()
}

/// Makes `to` the same file as `from`; no file when there is none.
fn replace_link(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_file() {
        return remove(to);
    }
    let beside = hidden(to, "link");
    remove(&beside)?;
    // Some file systems of memory cards have no links.
    if fs::hard_link(from, &beside).is_err() {
        fs::copy(from, &beside)?;
        File::open(&beside)?.sync_all()?;
    }
    fs::rename(&beside, to)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn hidden(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{what}"))
}

/// A rename in the folder of `of` outlives a power cut.
pub fn sync_folder(of: &Path) -> io::Result<()> {
    let folder = of.parent().filter(|p| !p.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::pack::tests::pack;

    #[test]
    fn the_pack_before_is_kept_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = tempfile::tempdir().unwrap();
        let source = inbox.path().join("any name");
        for version in ["1", "2", "3"] {
            fs::write(&source, pack("DE", version)).unwrap();
            install(&source, folder.path(), &Trust::default()).unwrap();
        }
        let version = |name: &str| {
            let bytes = fs::read(folder.path().join(name)).unwrap();
            Pack::parse(&bytes).unwrap().version
        };
        assert_eq!(version("DE.safetensors"), "3");
        assert_eq!(version("DE.safetensors.previous"), "2");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn the_pack_before_is_put_back_and_a_damaged_one_never_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("DE.safetensors");
        let trust = Trust::default();
        let version = |path: &Path| Pack::parse(&fs::read(path).unwrap()).unwrap().version;
        place(&target, &pack("DE", "1"), None, &trust).unwrap();
        place(&target, &pack("DE", "2"), None, &trust).unwrap();
        put_back(&target).unwrap();
        assert_eq!(version(&target), "1");
        assert_eq!(version(&previous_path(&target)), "1");
        fs::write(&target, "damaged").unwrap();
        place(&target, &pack("DE", "3"), None, &trust).unwrap();
        assert_eq!(version(&target), "3");
        assert_eq!(version(&previous_path(&target)), "1");
        fs::remove_file(previous_path(&target)).unwrap();
        put_back(&target).unwrap();
        assert!(!target.exists() && !signature_path(&target).exists());
    }

    #[test]
    fn a_bad_pack_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        fs::write(&source, &pack("DE", "1")[..200]).unwrap();
        let refused = install(&source, folder.path(), &Trust::default()).unwrap_err();
        assert_eq!(refused.path, source);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
