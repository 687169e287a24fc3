//! Tells the program what it was built from, and makes the CAN codec from `can/tsedge.dbc`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use can_dbc::{Dbc, ValueDescription};
use dbc_codegen::{AttributeField, AttributeScope, AttributeStruct, Config, FieldSource};

const DBC: &str = "can/tsedge.dbc";

fn main() {
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    println!("cargo::rustc-env=TSEDGE_ARCH={arch}");
    let git = |args: &[&str]| {
        let out = Command::new("git").args(args).output().ok()?;
        let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        out.status.success().then_some(text)
    };
    let commit = git(&["describe", "--always", "--dirty", "--abbrev=12"]);
    println!(
        "cargo::rustc-env=TSEDGE_COMMIT={}",
        commit.as_deref().unwrap_or("unknown")
    );
    // Asked for: `.git/HEAD` is elsewhere in a worktree, and a file that is not there has all compiled anew each time.
    if let Some(head) = git(&["rev-parse", "--git-path", "HEAD"]) {
        println!("cargo::rerun-if-changed={head}");
    }
    // Figures name the program that made them, so a release follows every commit; other builds spare the time.
    if std::env::var("PROFILE").as_deref() == Ok("release")
        && let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"])
        && Path::new(&log).exists()
    {
        println!("cargo::rerun-if-changed={log}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={DBC}");
    if let Err(error) = can_codec() {
        println!("cargo::error={DBC}: {error}");
    }
}

/// Messages as Rust types, and the numbers of the sign classes.
fn can_codec() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let dbc = std::fs::read_to_string(DBC)?;
    let attribute = |name, attribute| AttributeField {
        name,
        source: FieldSource::Attr(attribute),
    };
    let e2e = AttributeStruct {
        type_path: "super::Schedule",
        const_name: "SCHEDULE",
        scope: AttributeScope::Message,
        require: "E2EDataId",
        fields: &[
            attribute("e2e_data_id", "E2EDataId"),
            attribute("cycle_ms", "GenMsgCycleTime"),
        ],
        for_node: None,
    };
    Config::builder()
        .dbc_name("tsedge.dbc")
        .dbc_content(&dbc)
        .attribute_structs(&[e2e])
        .build()
        .write_to_file(out.join("can_messages.rs"))?;
    class_numbers(&dbc, &out.join("can_classes.rs"))
}

fn class_numbers(dbc: &str, out: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let dbc = Dbc::try_from(dbc).map_err(|e| format!("{e:?}"))?;
    let values = dbc.value_descriptions.iter().find_map(|v| match v {
        ValueDescription::Signal {
            name,
            value_descriptions,
            ..
        } if name == "SignClass" => Some(value_descriptions),
        _ => None,
    });
    let mut classes: Vec<(&str, i64)> = values
        .ok_or("SignClass has no values")?
        .iter()
        .map(|v| (v.description.as_str(), v.id))
        .collect();
    classes.sort_unstable();
    let mut table = String::from("pub static CLASS_NUMBERS: &[(&str, u16)] = &[\n");
    for (key, number) in classes {
        writeln!(table, "    ({key:?}, {number}),")?;
    }
    table.push_str("];\n");
    Ok(std::fs::write(out, table)?)
}
