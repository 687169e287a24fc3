"""All drives, on Ray: as many at a time as there are workers; a failed one again, a few times."""

import json
import os
import time
from collections import deque
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody's drives are told to anybody
import ray  # noqa: E402
from ray.exceptions import RayError, RayTaskError  # noqa: E402

from .drives import Drive  # noqa: E402
from .replay import Settings, failure, replay, run_tsedge, write_record  # noqa: E402
from .store import Store  # noqa: E402


def start(address: str | None, workers: int | None, cpus: int) -> int:
    """Joins the cluster, or starts one here; gives the number of drives at a time."""
    if address:
        package = str(Path(__file__).parent)
        ray.init(address, runtime_env={"py_modules": [package]}, log_to_driver=False)
    else:
        ray.init(
            "local",  # never one that happens to run here
            num_cpus=workers * cpus if workers else None,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=80 << 20,  # the least; drives go by the file system
        )
    room = int(ray.cluster_resources().get("CPU", 0)) // cpus
    if room == 0:
        raise ValueError(f"no node of the cluster has {cpus} free processors (--cpus)")
    return workers or room


def program(task, tsedge: str) -> str:
    try:
        return ray.get(task(version).remote(tsedge))
    except RayError as error:
        raise ValueError(told(error)) from None


def version(tsedge: str) -> str:
    return run_tsedge([tsedge, "--version"], Path(), 60).decode().strip()


def one_drive(drive: Drive, settings: Settings, attempt: int, earlier: list[str]) -> dict:
    record = replay(drive, settings) | {"attempts": attempt, "errors": earlier}
    write_record(settings.out, record)
    return record


def run(
    drives: list[Drive],
    settings: Settings,
    workers: int | None = None,
    address: str | None = None,
    attempts: int = 3,
    retry_failed: bool = False,
    tell=print,
) -> dict:
    """Replays what is missing; gives seconds and counts of this call."""
    began = time.monotonic()
    todo = missing(drives, settings.out, retry_failed)
    ended = {"drives": len(drives), "replayed": 0, "failed": 0, "start_s": 0.0, "work_s": 0.0}
    if not todo:
        return ended
    at_once = start(address, workers, settings.cpus)
    try:
        # Retries are counted here alone, so that each one's error is kept.
        task = ray.remote(num_cpus=settings.cpus, max_retries=0)
        same_program(settings, program(task, settings.tsedge))
        ended["start_s"] = time.monotonic() - began
        shared, remote = ray.put(settings), task(one_drive)
        waiting = deque((drive, []) for drive in todo)
        running = {}
        while waiting or running:
            while waiting and len(running) < at_once:
                drive, errors = waiting.popleft()
                ref = remote.remote(drive, shared, len(errors) + 1, errors)
                running[ref] = (drive, errors)
            for ref in ray.wait(list(running))[0]:
                drive, errors = running.pop(ref)
                try:
                    took = ray.get(ref)["took_s"]
                except RayError as error:
                    errors = [*errors, told(error)]
                    if len(errors) < attempts:
                        tell(f"{drive.id}: attempt {len(errors)} failed: {errors[-1]}")
                        waiting.append((drive, errors))
                        continue
                    ended["failed"] += 1
                    write_record(settings.out, failure(drive, errors) | {"attempts": len(errors)})
                    tell(f"{drive.id}: given up after {len(errors)} attempts: {errors[-1]}")
                else:
                    ended["replayed"] += 1
                    count = ended["replayed"] + ended["failed"]
                    tell(f"{count}/{len(todo)} {drive.id}: {took:.1f} s")
        ended["work_s"] = time.monotonic() - began - ended["start_s"]
    finally:
        ray.shutdown()
    return ended


def missing(drives: list[Drive], out: str, retry_failed: bool) -> list[Drive]:
    states = {r["drive"]: r["state"] for r in map(json.loads, Store.at(out).read_all("status"))}
    if retry_failed:
        states = {drive: state for drive, state in states.items() if state == "done"}
    return [drive for drive in drives if drive.id not in states]


def same_program(settings: Settings, found: str) -> None:
    """A folder holds the results of one program with one set of options."""
    store = Store.at(settings.out)
    mine = {"tsedge": found, "options": list(settings.options)}
    there = store.read("run.json")
    if there is None:
        store.write("run.json", json.dumps(mine, indent=1).encode())
    elif json.loads(there) != mine:
        raise ValueError(
            f"{settings.out}: made by {json.loads(there)}, this is {mine}: take a new folder"
        )


def told(error: RayError) -> str:
    """The cause in a task's own words; Ray's when the worker or its node died."""
    if isinstance(error, RayTaskError):
        return str(error.cause)
    return f"worker lost ({type(error).__name__}): {str(error).splitlines()[0]}"
