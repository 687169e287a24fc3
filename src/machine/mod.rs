//! The machine tsedge runs on: what it is, and how warm and fast it is now. Read from `/proc` and `/sys`.
//!
//! Whatever cannot be read is left out. The shipped unit sees no `/proc/device-tree`: the same tree is read
//! from `/sys` first.

mod state;

use std::fs::read_to_string;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use state::{MachineState, Memory, restart_peak};

/// What a board's owner is asked first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// `x86_64` or `aarch64`.
    pub arch: String,
    /// The processor's name.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// The board's name, from the device tree.
    pub board: Option<String>,
    /// The kernel's release.
    pub kernel: String,
    /// Memory of the machine, in MiB.
    pub memory_mib: u64,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        Self::under(Path::new("/"))
    }

    /// The machine whose `proc` and `sys` lie under `root`.
    pub fn under(root: &Path) -> Self {
        let text = |path: &str| read_to_string(root.join(path)).unwrap_or_default();
        let memory_kib = field(&text("proc/meminfo"), "MemTotal")
            .and_then(|line| line.trim_end_matches("kB").trim().parse::<u64>().ok());
        Self {
            arch: std::env::consts::ARCH.to_owned(),
            cpu: cpu_name(&text("proc/cpuinfo")),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            board: board(root),
            kernel: text("proc/sys/kernel/osrelease").trim().to_owned(),
            memory_mib: memory_kib.unwrap_or_default() / 1024,
        }
    }
}

/// The board's name in the device tree; none on machines without one.
pub fn board(root: &Path) -> Option<String> {
    let places = [
        "sys/firmware/devicetree/base/model",
        "proc/device-tree/model",
    ];
    let found = places
        .into_iter()
        .find_map(|place| read_to_string(root.join(place)).ok());
    let name = found?
        .trim_matches(|c: char| c == '\0' || c.is_whitespace())
        .to_owned();
    (!name.is_empty()).then_some(name)
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// x86 gives a name; ARM gives numbers, of which those of the boards in the docs have one here.
fn cpu_name(cpuinfo: &str) -> String {
    if let Some(name) = field(cpuinfo, "model name") {
        return name.to_owned();
    }
    let number = |name| field(cpuinfo, name).unwrap_or("?");
    let (maker, part) = (number("CPU implementer"), number("CPU part"));
    let name = match (maker, part) {
        ("0x41", "0xd03") => "Cortex-A53",
        ("0x41", "0xd05") => "Cortex-A55",
        ("0x41", "0xd07") => "Cortex-A57",
        ("0x41", "0xd08") => "Cortex-A72",
        ("0x41", "0xd0b") => "Cortex-A76",
        ("0x41", "0xd41") => "Cortex-A78",
        ("0x41", "0xd42") => "Cortex-A78AE",
        ("0x4e", "0x004") => "NVIDIA Carmel",
        _ => return format!("implementer {maker} part {part}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that stands for `/`.
    pub(super) fn files(all: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in all {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn a_board_is_named_from_its_device_tree_and_its_processor_by_its_number() {
        let pi = files(&[
            (
                "sys/firmware/devicetree/base/model",
                "Raspberry Pi 5 Model B Rev 1.0\0",
            ),
            (
                "proc/cpuinfo",
                "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n",
            ),
            ("proc/meminfo", "MemTotal:        8255488 kB\n"),
            ("proc/sys/kernel/osrelease", "6.6.31+rpt-rpi-2712\n"),
        ]);
        let machine = Machine::under(pi.path());
        let board = machine.board.as_deref();
        assert_eq!(board, Some("Raspberry Pi 5 Model B Rev 1.0"));
        assert_eq!(machine.cpu, "Cortex-A76");
        assert_eq!(machine.memory_mib, 8062);
        assert_eq!(machine.kernel, "6.6.31+rpt-rpi-2712");
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let nothing = files(&[]);
        let machine = Machine::under(nothing.path());
        assert_eq!(machine.board, None);
        assert_eq!(machine.cpu, "implementer ? part ?");
        assert!(machine.cores > 0);
    }
}
