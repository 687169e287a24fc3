#!/usr/bin/env python3
"""Print the licences of all crates that are linked into the program.

usage: third_party.py TARGET     (a target triple)
"""

import json
import subprocess
import sys
from pathlib import Path

NAMES = ("LICEN", "COPYING", "NOTICE", "UNLICENSE")


def linked(metadata: dict) -> list[dict]:
    """The packages that the program is made of: normal dependencies, however far."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    seen, ahead = set(), [metadata["resolve"]["root"]]
    while ahead:
        node = ahead.pop()
        if node in seen:
            continue
        seen.add(node)
        for dep in nodes[node]["deps"]:
            if any(kind["kind"] is None for kind in dep["dep_kinds"]):
                ahead.append(dep["pkg"])
    seen.remove(metadata["resolve"]["root"])
    packages = [p for p in metadata["packages"] if p["id"] in seen]
    return sorted(packages, key=lambda p: (p["name"], p["version"]))


def texts(package: dict) -> list[str]:
    folder = Path(package["manifest_path"]).parent
    # Sources in C that a crate brings along have their licence beside them.
    files = [*folder.iterdir(), *folder.glob("upstream/*"), *folder.glob("vendor/*")]
    files = sorted(f for f in files if f.is_file() and f.name.upper().startswith(NAMES))
    return [f.read_text(errors="replace").strip() for f in files]


def main() -> None:
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    command += ["--filter-platform", sys.argv[1]]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    written: dict[str, str] = {}
    for package in linked(metadata):
        name = f"{package['name']} {package['version']}"
        print(f"==== {name}: {package['license'] or 'see below'}")
        for author in package["authors"]:
            print(author)
        for text in texts(package):
            if text in written:
                print(f"-- the text of {written[text]}")
            else:
                written[text] = name
                print(f"--\n{text}")
        print()


if __name__ == "__main__":
    main()
