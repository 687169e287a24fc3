//! Every promise of SPECIFICATION.md has a test or a benchmark that exists, or says that it has none.

use std::fs;

use crate::support::root;

#[test]
fn every_promise_is_held_or_marked() {
    let text = fs::read_to_string(root().join("SPECIFICATION.md")).unwrap();
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| S"));
    let mut ids = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [id, promise, _, holder] = cells[..] else {
            panic!("{row}: not four cells");
        };
        assert!(!promise.is_empty() && !ids.contains(&id), "{row}");
        ids.push(id);
        let name = holder.trim_matches('`');
        let found = if let Some(target) = name.strip_prefix("make ") {
            makefile.contains(&format!("\n{target}:"))
        } else if let Some((module, test)) = name.split_once("::") {
            let file = root().join(format!("tests/integration/{module}.rs"));
            let source = fs::read_to_string(&file).unwrap_or_default();
            source.contains(&format!("fn {test}("))
        } else {
            holder == "not yet tested"
        };
        assert!(found, "{id}: nothing holds it: {holder}");
    }
    assert!(ids.len() >= 15);
}
