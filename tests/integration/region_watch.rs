//! Promise: a pack dropped into the folder is live within a second; a bad one is refused with a reason
//! and the last good one stays.

use std::path::Path;
use std::time::{Duration, Instant};

use tsedge::region::install::{install, previous_path};
use tsedge::region::pack::RowType;
use tsedge::region::sign::{Signatures, Trust, new_keys, sign, signature_path};
use tsedge::region::watch::POLL;
use tsedge::region::{PackNews, PackStore, PackWatcher};
use tsedge::units::RegionCode;

use crate::support::small_pack;

const DIM: usize = 16;

fn bytes(region: &str, version: &str) -> Vec<u8> {
    (small_pack(region, version, 5, DIM).to_bytes(RowType::F32)).unwrap()
}

fn code(text: &str) -> RegionCode {
    RegionCode::parse(text).unwrap()
}

fn store(folder: &Path) -> PackStore {
    PackStore::new(folder, "abc", DIM)
}

/// Looks until there is news, as the runtime does; fails after a second.
fn next_news(watcher: &mut PackWatcher) -> PackNews {
    let start = Instant::now();
    loop {
        if let Some(news) = watcher.look().pop() {
            return news;
        }
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "no news within a second"
        );
        std::thread::sleep(POLL);
    }
}

fn live(news: PackNews) -> String {
    match news {
        PackNews::Live(bank) => format!("{} {}", bank.region(), bank.version()),
        PackNews::Refused { error, .. } => panic!("{error}"),
    }
}

fn refused(news: PackNews) -> String {
    match news {
        PackNews::Live(bank) => panic!("{} {} is live", bank.region(), bank.version()),
        PackNews::Refused { error, .. } => error.reason,
    }
}

#[test]
fn packs_go_live_as_they_come_and_bad_ones_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("DE.safetensors");
    std::fs::write(&file, bytes("DE", "1")).unwrap();
    let mut watcher = PackWatcher::new(store(folder.path()));
    watcher.store().best(code("DE")).unwrap();
    assert!(watcher.look().is_empty() && watcher.look().is_empty());

    // Installed, and copied over: both count.
    let source = folder.path().join("new pack");
    std::fs::write(&source, bytes("DE", "2")).unwrap();
    install(&source, folder.path(), &Trust::default()).unwrap();
    assert_eq!(live(next_news(&mut watcher)), "DE 2");
    std::fs::write(&file, bytes("DE", "3")).unwrap();
    assert_eq!(live(next_news(&mut watcher)), "DE 3");

    std::fs::write(&file, &bytes("DE", "4")[..500]).unwrap();
    let reason = refused(next_news(&mut watcher));
    assert!(reason.starts_with("not a pack: "), "{reason}");
    let version = |watcher: &mut PackWatcher| {
        let bank = watcher.store().best(code("DE")).unwrap();
        bank.version().to_string()
    };
    assert_eq!(version(&mut watcher), "3");
    assert!(watcher.look().is_empty(), "a refusal is told once");
    std::fs::write(&file, bytes("DE", "3")).unwrap();
    assert_eq!(live(next_news(&mut watcher)), "DE 3", "sound again");

    // Another region's pack under this name, then a region that was not there before.
    std::fs::write(&file, bytes("FR", "1")).unwrap();
    let reason = refused(next_news(&mut watcher));
    assert_eq!(reason, "is the pack of FR, expected DE");
    std::fs::write(folder.path().join("FR.safetensors"), bytes("FR", "1")).unwrap();
    assert_eq!(live(next_news(&mut watcher)), "FR 1");
    std::fs::remove_file(&file).unwrap();
    assert!(watcher.look().is_empty());
    assert_eq!(version(&mut watcher), "3");
}

#[test]
fn packs_installed_here_go_before_those_of_the_models_which_stand_in_for_them() {
    let (models, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let installed = state.path().join("packs");
    for region in ["DE", "FR"] {
        let file = models.path().join(format!("{region}.safetensors"));
        std::fs::write(file, bytes(region, "shipped 1")).unwrap();
    }
    let both = || store(models.path()).with_installed(Some(&installed));
    let mut watcher = PackWatcher::new(both());
    let version = |watcher: &mut PackWatcher| {
        let bank = watcher.store().best(code("DE")).unwrap();
        bank.version().to_string()
    };
    assert_eq!(
        version(&mut watcher),
        "shipped 1",
        "the folder need not be there"
    );

    std::fs::create_dir(&installed).unwrap();
    let own = installed.join("DE.safetensors");
    std::fs::write(&own, bytes("DE", "own")).unwrap();
    assert_eq!(live(next_news(&mut watcher)), "DE own");
    // An update of the program brings a newer one: the one that was installed stays.
    let shipped = models.path().join("DE.safetensors");
    std::fs::write(&shipped, bytes("DE", "shipped 2")).unwrap();
    for _ in 0..3 {
        assert!(watcher.look().is_empty());
    }
    assert_eq!(version(&mut watcher), "own");
    assert_eq!(watcher.store().regions().unwrap(), [code("DE"), code("FR")]);

    // One that no longer fits is told, and what was shipped is read.
    let whole = std::fs::read(&own).unwrap();
    std::fs::write(&own, &whole[..whole.len() / 2]).unwrap();
    let mut started = both();
    let bank = started.best(code("DE")).unwrap();
    assert_eq!(&**bank.version(), "shipped 2");
    assert_eq!(started.take_refusals()[0].path, own);
    refused(next_news(&mut watcher));
    std::fs::remove_file(&own).unwrap();
    assert_eq!(live(next_news(&mut watcher)), "DE shipped 2");
}

#[test]
fn a_pack_that_is_still_being_copied_is_not_judged() {
    let folder = tempfile::tempdir().unwrap();
    let mut watcher = PackWatcher::new(store(folder.path()));
    let whole = bytes("DE", "1");
    let file = folder.path().join("DE.safetensors");
    for part in 1..=5 {
        std::fs::write(&file, &whole[..whole.len() * part / 5]).unwrap();
        assert!(watcher.look().is_empty());
    }
    assert_eq!(live(next_news(&mut watcher)), "DE 1");
}

#[test]
fn a_signature_that_comes_later_makes_the_pack_live() {
    let folder = tempfile::tempdir().unwrap();
    let (public, secret) = new_keys(None).unwrap();
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, secret).unwrap();
    let key = public.lines().nth(1).unwrap().to_owned();
    let trust = Trust::new(Signatures::Required, &[key]).unwrap();
    let mut watcher = PackWatcher::new(store(folder.path()).with_trust(trust));

    let file = folder.path().join("DE.safetensors");
    let pack = bytes("DE", "1");
    std::fs::write(&file, &pack).unwrap();
    let reason = refused(next_news(&mut watcher));
    assert_eq!(reason, "is not signed, and signatures are required");
    let signature = sign(&pack, &key_file, None, "").unwrap();
    std::fs::write(signature_path(&file), &signature).unwrap();
    assert_eq!(live(next_news(&mut watcher)), "DE 1");
    // The signature is that of version 1.
    std::fs::write(&file, bytes("DE", "2")).unwrap();
    assert!(refused(next_news(&mut watcher)).starts_with("signature: "));
}

#[test]
fn after_a_restart_the_pack_before_a_bad_one_is_used_and_the_refusal_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("DE.safetensors");
    let source = folder.path().join("source");
    for version in ["1", "2"] {
        std::fs::write(&source, bytes("DE", version)).unwrap();
        install(&source, folder.path(), &Trust::default()).unwrap();
    }
    std::fs::write(&file, b"bad").unwrap();
    let mut after = store(folder.path());
    assert_eq!(&**after.best(code("DE")).unwrap().version(), "1");
    let refusals = after.take_refusals();
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].path, file);

    // Not even that: the world's pack, if there is one.
    std::fs::write(previous_path(&file), b"bad").unwrap();
    assert_eq!(
        store(folder.path()).best(code("DE")).unwrap_err().path,
        file
    );
    std::fs::write(folder.path().join("WORLD.safetensors"), bytes("WORLD", "7")).unwrap();
    let mut after = store(folder.path());
    assert_eq!(
        after.best(code("DE-BY")).unwrap().region(),
        RegionCode::WORLD
    );
    assert_eq!(after.take_refusals().len(), 1);
}
