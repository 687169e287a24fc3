//! Threads run where and as urgently as the configuration says, and say what they got.

use std::collections::BTreeMap;
use std::fs;

use crate::running::{Running, details};
use crate::support::drive;

/// The last core that the tests themselves may use.
fn a_core() -> String {
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let list = field(&own, "Cpus_allowed_list:");
    list.rsplit([',', '-']).next().unwrap().to_owned()
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim()
}

/// Threads by name: cores, and priority where it is real-time by SCHED_FIFO.
fn threads(id: u32) -> BTreeMap<String, (String, Option<u32>)> {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let read = tasks.filter_map(|task| {
        let task = task.ok()?.path();
        let name = fs::read_to_string(task.join("comm")).ok()?;
        let status = fs::read_to_string(task.join("status")).ok()?;
        let stat = fs::read_to_string(task.join("stat")).ok()?;
        // proc_pid_stat(5): 40 is the priority, 41 the policy; the second field ends with `)`.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<u32> = (fields.split_whitespace().skip(37))
            .take(2)
            .map(|number| number.parse().unwrap())
            .collect();
        let fifo = (fields[1] == 1).then_some(fields[0]);
        let cores = field(&status, "Cpus_allowed_list:").to_owned();
        Some((name.trim().to_owned(), (cores, fifo)))
    });
    read.collect()
}

fn config() -> String {
    let core = a_core();
    format!(
        "[runtime]\nthreads = 2\n[threads]\ncapture = {{ fifo = 3 }}\n\
         recognise = {{ cores = [{core}], fifo = 2 }}\noutputs = {{ cores = [{core}] }}\n"
    )
}

fn start(before: &[&str]) -> Running {
    let drive = drive("test_de_fr").video;
    let replay = ["--replay".as_ref(), drive.as_os_str(), "--repeat".as_ref()];
    let running = Running::start(before, &config(), replay);
    running.wait_for(|events| details(events).iter().any(|d| d.contains("ts-recognise")));
    running.wait_for(|events| details(events).iter().any(|d| d.contains("ts-capture")));
    running
}

fn end(running: Running) -> (String, String) {
    running.terminate();
    let (output, events) = running.end();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    (details(&events).join("; "), errors)
}

#[test]
fn threads_get_what_they_say() {
    let core = a_core();
    let running = start(&[]);
    let threads = threads(running.id());
    let (told, _) = end(running);
    for (name, priority) in [
        ("ts-capture", Some(3)),
        ("ts-recognise", Some(2)),
        ("ts-model", Some(2)),
        ("ts-out-0", None),
    ] {
        let (cores, fifo) = &threads[name];
        let pinned = name != "ts-capture";
        assert!(!pinned || *cores == core, "{name} {cores}");
        let words = format!("has core {core}");
        assert!(
            !pinned || told.contains(&format!("{name} {words}")),
            "{told}"
        );
        // Whether the machine lets the tests have it or not: what is told must be so.
        let granted =
            priority.filter(|p| told.contains(&format!("real-time priority {p}, as asked")));
        assert_eq!(*fifo, granted, "{name}: {told}");
        let refused = priority.filter(|_| granted.is_none());
        assert_eq!(
            refused.is_some(),
            refused.is_some_and(|p| told.contains(&format!("LimitRTPRIO={p}")))
        );
    }
    assert_eq!(threads["ts-signals"].1, None);
}

#[test]
fn without_the_right_the_unit_runs_and_names_the_remedy() {
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let without: &[&str] = &[
        "setpriv",
        "--bounding-set=-sys_nice",
        "prlimit",
        "--rtprio=0",
    ];
    // Others than root have no such right to give up.
    let root = field(&own, "Uid:").starts_with('0');
    let running = start(if root { without } else { &without[2..] });
    let threads = threads(running.id());
    let (told, errors) = end(running);
    assert!(
        threads.values().all(|(_, fifo)| fifo.is_none()),
        "{threads:?}"
    );
    let words = "ts-capture asked for real-time priority 3, has none: Operation not permitted";
    assert!(told.contains(words) && errors.contains(words), "{told}");
    assert!(
        told.contains("LimitRTPRIO=3") && told.contains("CAP_SYS_NICE"),
        "{told}"
    );
}
