#!/usr/bin/env python3
"""Put a pinned ONNX Runtime library and its notices into a folder, checked by its hash.

usage: get_onnxruntime.py [FOLDER [MACHINE]]   (.runtime, for this machine; x86_64 or aarch64)

The library is taken from the official wheel on PyPI; nothing is installed into Python.
"""

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

VERSION = "1.32.0"
WHEELS = {  # machine: (platform tag, sha256 of the wheel)
    "x86_64": (
        "manylinux_2_28_x86_64",
        "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
    ),
    "aarch64": (
        "manylinux_2_28_aarch64",
        "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c",
    ),
}


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".runtime")
    library, stamp = folder / "libonnxruntime.so", folder / "libonnxruntime.sha256"
    machine = sys.argv[2] if len(sys.argv) > 2 else platform.machine()
    if sys.platform != "linux" or machine not in WHEELS:
        sys.exit(
            f"no pinned ONNX Runtime for {sys.platform}/{machine}: install {VERSION} or newer "
            "yourself and point ORT_DYLIB_PATH at its shared library"
        )
    tag, wheel_sha256 = WHEELS[machine]
    if library.exists() and stamp.exists() and stamp.read_text() == wheel_sha256:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        print(f"fetching ONNX Runtime {VERSION} for {machine}")
        # The library does not depend on the Python version; cp311 is simply the wheel that is pinned.
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        download += ["--only-binary=:all:", "--python-version", "3.11", "--platform", tag]
        download += ["--dest", scratch, f"onnxruntime=={VERSION}"]
        if subprocess.run(download, check=False).returncode != 0:
            sys.exit(
                "pip could not fetch the onnxruntime wheel: is pip installed "
                "(apt install python3-pip) and the package index reachable?"
            )
        (wheel,) = Path(scratch).glob("*.whl")
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != wheel_sha256:
            sys.exit(f"{wheel.name}: sha256 is {found}, expected {wheel_sha256}: not installed")
        with zipfile.ZipFile(wheel) as archive:
            (member,) = [n for n in archive.namelist() if "/libonnxruntime.so" in n]
            for notice in ("LICENSE", "ThirdPartyNotices.txt"):
                (folder / notice).write_bytes(archive.read(f"onnxruntime/{notice}"))
            part = folder / "libonnxruntime.so.part"
            part.write_bytes(archive.read(member))
        os.replace(part, library)
        stamp.write_text(wheel_sha256)
    print(f"installed {library}")


if __name__ == "__main__":
    main()
