"""Latency: python -m detector.latency --model models/detector.onnx --size 1280x736 [--profile]

One thread. Prints wall and processor time a frame, and the load of the machine, because a figure
from a busy machine says little.
"""

import argparse
import collections
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from .inference import onnx_session


def times_ms(model: Path, height: int, width: int, runs: int) -> tuple[np.ndarray, np.ndarray]:
    """-> wall and processor milliseconds of each run."""
    session = onnx_session(model, (height, width))
    image = np.random.default_rng(0).integers(0, 256, (1, 3, height, width), np.uint8)
    session.run(None, {"image": image})
    wall, processor = [], []
    for _ in range(runs):
        before = time.perf_counter(), time.process_time()
        session.run(None, {"image": image})
        wall.append(time.perf_counter() - before[0])
        processor.append(time.process_time() - before[1])
    return np.array(wall) * 1e3, np.array(processor) * 1e3


def time_by_operator_ms(model: Path, height: int, width: int, runs: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        session = onnx_session(model, (height, width), Path(folder) / "profile")
        image = np.zeros((1, 3, height, width), np.uint8)
        for _ in range(runs):
            session.run(None, {"image": image})
        events = json.loads(Path(session.end_profiling()).read_text())
    total: collections.Counter[str] = collections.Counter()
    for event in events:
        if event["name"].endswith("_kernel_time"):
            total[event["args"]["op_name"]] += event["dur"] / 1e3 / runs
    return dict(total.most_common())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--size", default="1280x736", help="width x height, multiples of 32")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--profile", action="store_true", help="time by operator as well")
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    wall, processor = times_ms(args.model, height, width, args.runs)
    print(
        f"{args.size}: wall median {np.median(wall):.1f} min {wall.min():.1f} ms, "
        f"processor median {np.median(processor):.1f} min {processor.min():.1f} ms, "
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    if args.profile:
        for operator, spent in time_by_operator_ms(args.model, height, width, args.runs).items():
            print(f"  {operator} {spent:.2f} ms")


if __name__ == "__main__":
    main()
