"""How ONNX files are run here: on one core, and exactly (as in `src/model/session.rs`)."""

from pathlib import Path

import onnxruntime

PROCESSOR = Path("/proc/cpuinfo")


def options() -> onnxruntime.SessionOptions:
    """x86 without VNNI would saturate sums of byte products; the exact way is slower."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if "avx" in (flags := PROCESSOR.read_text()) and "vnni" not in flags:
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options
