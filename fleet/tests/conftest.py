import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TSEDGE = Path(os.environ.get("TSEDGE", ROOT / "target/release/tsedge"))


def render(folder: Path, latitude: str, style: str) -> tuple[Path, Path]:
    """A drive of two seconds; 48.97 is in France, 49.02 in Germany."""
    scenario = Path(__file__).with_name("drive.toml").read_text()
    file = folder / f"{style}.toml"
    file.write_text(scenario.replace("LATITUDE", latitude).replace("STYLE", style))
    video, gps = file.with_suffix(".mp4"), file.with_suffix(".gpx")
    subprocess.run([TSEDGE, "simulate", file, "--out", video, "--gpx", gps], check=True)
    return video, gps


def fleet(*args, env=None, start=False):
    """The command as people call it; ended with its output, or just started."""
    command = [sys.executable, "-m", "fleet", *map(str, args)]
    more = {"cwd": ROOT, "env": os.environ | (env or {}), "text": True}
    if start:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    return subprocess.run(command, capture_output=True, **more)


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    return {"FR": render(folder, "48.97", "FR"), "DE": render(folder, "49.02", "DE")}
