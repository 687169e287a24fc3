"""Real Ray, the real program, and what goes wrong in a fleet: killed workers, broken files."""

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3
import duckdb
import pyarrow.dataset as ds
import pytest
from moto.server import ThreadedMotoServer

from fleet import schema
from fleet.events import Converter
from fleet.report import merge

from .conftest import ROOT, TSEDGE, fleet

PATIENCE_S = 300  # a loaded machine


def wait_for(what, process):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := what():
            return found
        if process.poll() is not None:
            raise AssertionError(f"ended before it came: {process.stdout.read()}")
        time.sleep(0.005)
    raise AssertionError("it never came")


def replays_of(name):
    """Process ids of tsedge with this video."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"tsedge") and any(w.endswith(name.encode()) for w in words[2:3]):
            found.append(int(folder.name))
    return found


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def records(out):
    found = [json.loads(f.read_text()) for f in sorted((out / "status").glob("*.json"))]
    return {r["drive"]: r for r in found}


class Place:
    """A folder of drives, and a tsedge that writes down each call, and fails once for `flaky`."""

    def __init__(self, folder, recordings):
        self.drives, self.out = folder / "drives", folder / "out"
        self.drives.mkdir()
        self.recordings, self.calls_file = recordings, folder / "calls"
        self.calls_file.touch()
        self.tsedge = folder / "recording-tsedge"
        self.tsedge.write_text(
            f'#!/bin/sh\n[ "$1" = replay ] && echo "$2" >> {self.calls_file}\n'
            f'case "$2" in */flaky.mp4) [ -e {folder}/once ] || {{ touch {folder}/once; '
            f'echo "tsedge: $2: the disk was away" >&2; exit 1; }};; esac\nexec {TSEDGE} "$@"\n'
        )
        self.tsedge.chmod(0o755)

    def add(self, name, style):
        video, gps = self.recordings[style]
        shutil.copy(video, self.drives / f"{name}.mp4")
        shutil.copy(gps, self.drives / f"{name}.gpx")

    def run(self, *more, **how):
        args = ["run", self.drives, "--out", self.out, "--tsedge", self.tsedge, "--workers", 2]
        return fleet(*args, *more, **how)

    def calls(self):
        return [Path(line).stem for line in self.calls_file.read_text().splitlines()]


@pytest.fixture
def place(tmp_path, recordings):
    return Place(tmp_path, recordings)


def events_of(recording, name):
    """What tsedge alone writes, as rows."""
    video, gps = recording
    args = [TSEDGE, "replay", video, "--gps", gps, "--quiet", "--jsonl", "-"]
    converter = Converter(schema.load())
    lines = subprocess.run(args, check=True, capture_output=True).stdout
    return converter.table(name, converter.parse(lines)).to_pylist()


def test_nothing_is_lost_by_a_killed_worker_a_flaky_disk_or_a_broken_file(place, recordings):
    styles = {"a-killed": "FR", "b": "DE", "flaky": "FR", "z": "DE"}
    for name, style in styles.items():
        place.add(name, style)
    whole = (place.drives / "b.mp4").read_bytes()
    (place.drives / "corrupt.mp4").write_bytes(whole[: len(whole) // 2])

    run = place.run(start=True)
    victim = wait_for(lambda: replays_of("/a-killed.mp4"), run)[0]
    os.kill(parent(victim), signal.SIGKILL)
    told = run.communicate(timeout=PATIENCE_S)[0]
    assert run.returncode == 3, told

    found = records(place.out)
    assert {d for d, r in found.items() if r["state"] == "done"} == set(styles), told
    assert found["a-killed"]["attempts"] == 2
    assert "worker lost" in found["a-killed"]["errors"][0]
    assert found["flaky"]["attempts"] == 2
    assert found["flaky"]["errors"] == ["exit code 1: tsedge: VIDEO: the disk was away"]
    assert found["corrupt"]["state"] == "failed" and len(found["corrupt"]["errors"]) == 3
    assert place.calls().count("corrupt") == 3 and place.calls().count("b") == 1
    assert not Path(f"/proc/{victim}").exists()

    # The events are what tsedge gives alone, each once.
    table = ds.dataset(place.out / "events", partitioning="hive").to_table()
    rows = table.drop_columns("date").to_pylist()
    for name, style in styles.items():
        assert [r for r in rows if r["drive"] == name] == events_of(recordings[style], name)
    assert {r["drive"] for r in rows} == set(styles)

    # The report is the sum of its parts, told by the records and by the events.
    report = json.loads((place.out / "report.json").read_text())
    assert report == merge(list(found.values()))
    parts = [merge([record]) for record in found.values()]
    for key in ("drives", "done", "failed", "retried", "frames", "events"):
        assert report[key] == sum(part[key] for part in parts), key
    assert report["km"] == pytest.approx(sum(part["km"] for part in parts))
    assert report["errors"] == [{"reason": found["corrupt"]["reason"], "drives": 1}]
    signs = duckdb.sql(
        "SELECT region, class, count(DISTINCT (drive, track)) "
        f"FROM '{place.out}/events/*/*.parquet' "
        "WHERE event = 'sign_confirmed' AND result = 'sign' GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    assert [(s["region"], s["class"], s["count"]) for s in report["signs"]] == signs
    assert ("DE", "speed_limit_50", 2) in signs and ("FR", "speed_limit_50", 2) in signs
    assert "corrupt" in (place.out / "report.md").read_text()

    run_queries_of_the_docs(place.out)

    # A second call does nothing; asked to, it tries again just what failed.
    before = place.calls()
    assert place.run().returncode == 3 and place.calls() == before
    place.add("corrupt", "DE")
    again = place.run("--retry-failed")
    assert again.returncode == 0, again.stdout + again.stderr
    assert place.calls() == [*before, "corrupt"]
    assert records(place.out)["corrupt"]["state"] == "done"


def run_queries_of_the_docs(out):
    docs = (ROOT / "docs/fleet.md").read_text()
    blocks = re.findall(r"```(sql|python)\n(.*?)```", docs, re.S)
    assert {kind for kind, _ in blocks} == {"sql", "python"}
    for kind, text in blocks:
        text = text.replace("results/", f"{out}/")
        if kind == "sql":
            duckdb.sql(text.strip().rstrip(";")).fetchall()
        else:
            exec(text, {})


def test_a_killed_job_goes_on_where_it_stopped(place):
    names = ["a", "b", "c", "d"]
    for name in names:
        place.add(name, "FR")
    job = place.run(start=True)
    wait_for(lambda: place.out.exists() and records(place.out), job)
    workers = descendants(job.pid)
    job.kill()
    job.wait()
    wait_for_end_of(workers)  # they notice, and one may just end its drive
    done = set(records(place.out))
    before = place.calls()
    assert done and done != set(names)
    again = place.run()
    assert again.returncode == 0, again.stdout + again.stderr
    assert set(place.calls()[len(before) :]) == set(names) - done
    assert json.loads((place.out / "report.json").read_text())["done"] == 4

    # Results of other options would not compare with those that are there.
    place.add("e", "FR")
    other = place.run("--", "--long-side-px", "320")
    assert other.returncode == 1 and "take a new folder" in other.stderr


def descendants(pid):
    found = [pid]
    everyone = [int(f.name) for f in Path("/proc").glob("[0-9]*")]
    parents = {}
    for each in everyone:
        with contextlib.suppress(OSError):
            parents[each] = parent(each)
    for above in found:
        found += [each for each, its in parents.items() if its == above]
    return found[1:]


def wait_for_end_of(pids):
    end = time.monotonic() + PATIENCE_S
    while any(Path(f"/proc/{pid}/exe").exists() for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def bucket():
    """A server that speaks S3, and the settings that lead to it and to the cluster."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    env = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    env |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # for the cluster
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket="fleet")
    yield client, env, f"endpoint_override={host}:{port}&scheme=http&region=us-east-1"
    server.stop()


@pytest.fixture
def cluster(bucket, tmp_path):
    """A Ray cluster that was there before, started elsewhere than in this checkout."""
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    port = free_port()
    options = [f"--port={port}", "--num-cpus=2", "--include-dashboard=false"]
    options += ["--disable-usage-stats", f"--object-store-memory={80 << 20}"]
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    own = tempfile.mkdtemp(prefix="ray")  # short: sockets lie in it
    bucket[1]["RAY_TMPDIR"] = own
    how |= {"cwd": tmp_path, "env": os.environ | bucket[1], "start_new_session": True}
    head = subprocess.Popen([*ray, *options], **how)
    wait_for(lambda: "started" in head.stdout.readline(), head)
    yield f"127.0.0.1:{port}"
    head.terminate()  # not `ray stop`, which ends every cluster of the machine
    try:
        head.wait(60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(head.pid, signal.SIGKILL)
        shutil.rmtree(own, ignore_errors=True)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_a_cluster_takes_drives_from_an_object_store_and_brings_results_there(
    bucket, cluster, recordings
):
    client, env, options = bucket
    for style, (video, gps) in recordings.items():
        client.upload_file(str(video), "fleet", f"in/{style}.mp4")
        client.upload_file(str(gps), "fleet", f"in/{style}.gpx")
    args = ["run", f"s3://fleet/in/?{options}", "--out", f"s3://fleet/out?{options}"]
    args += ["--tsedge", TSEDGE, "--address", cluster]
    ended = fleet(*args, env=env)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    names = {o["Key"] for o in client.list_objects_v2(Bucket="fleet", Prefix="out/")["Contents"]}
    day = "out/events/date=2026-05-04"
    assert names >= {f"{day}/FR.parquet", f"{day}/DE.parquet", "out/status/FR.json"}
    assert names >= {"out/report.json", "out/report.md", "out/drives.parquet"}
    report = json.loads(client.get_object(Bucket="fleet", Key="out/report.json")["Body"].read())
    assert (report["done"], report["failed"]) == (2, 0) and report["km"] == pytest.approx(
        0.03, abs=0.002
    )
    again = fleet(*args, env=env)
    assert "0 replayed, 0 given up, 2 were there already" in again.stdout
