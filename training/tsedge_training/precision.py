"""In what precision a net's forward pass runs while it learns."""

import time
from functools import cache

import torch


def forward_pass(device: torch.device | str) -> torch.autocast:
    """A context: bf16 where that is quicker; the outcome differs by less than that of two seeds."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=bf16_is_quicker(kind))


@cache
def bf16_is_quicker(device_type: str) -> bool:
    """A GPU has units for it. Of CPUs that know it some take half the time, some twice."""
    if device_type != "cpu":
        return True

    def seconds(bf16: bool) -> float:
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            layer(pixels).float().sum().backward()
        return time.perf_counter() - start

    # who asks may be judging
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
        layer, pixels = torch.nn.Linear(768, 768), torch.rand(512, 768)
        tries = [(seconds(False), seconds(True)) for _ in range(9)]
    plain, short = map(min, zip(*tries, strict=True))
    return short < plain
