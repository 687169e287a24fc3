"""Weight ensembles as pure functions over state dicts, and the schedules of ADWE's beta."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

State = Mapping[str, torch.Tensor]
ALPHAS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
BETAS = (0.0, 0.1, 0.3, 0.5, 0.7)


def wise(zero_shot: State, fine_tuned: State, alpha: float) -> dict[str, torch.Tensor]:
    """WiSE-FT: (1 - alpha) zero_shot + alpha fine_tuned."""
    if zero_shot.keys() != fine_tuned.keys():
        odd = sorted(set(zero_shot) ^ set(fine_tuned))
        raise ValueError(f"the two states differ in names: {odd[:5]}")
    return {
        name: torch.lerp(value, fine_tuned[name], alpha) if value.is_floating_point() else value
        for name, value in zero_shot.items()
    }


@torch.no_grad()
def pull(parameters: State, zero_shot: State, beta: float) -> None:
    """ADWE's step, in place: theta <- (1 - beta) theta + beta theta_zero_shot."""
    torch._foreach_lerp_(list(parameters.values()), [zero_shot[n] for n in parameters], beta)


@torch.no_grad()
def validated(parameters: State, zero_shot: State, accuracy_of: Callable[[], float]) -> float:
    """The beta whose pull names most crops, of equals the strongest; the weights stay."""
    here, found = {n: p.detach().clone() for n, p in parameters.items()}, {}
    for beta in BETAS:
        pull(parameters, zero_shot, beta)
        found[beta] = accuracy_of()
        torch._foreach_copy_(list(parameters.values()), [here[n] for n in parameters])
    return max(BETAS, key=lambda beta: (found[beta], beta))


@dataclass(frozen=True)
class Adwe:
    """How strongly (beta) and how often (pulls in a run) the weights go back to the start.

    constant: beta; decaying: beta x decay^n; accuracy: beta x (1 - accuracy on validation crops of
    the training regions), so that the pull fades as the task is learned; validated: at each pull
    the one of `BETAS` by which most validation crops are named, of tuning regions that are not
    trained on where there are any, as for WiSE-FT's alpha. With `per_step` the pull of an epoch is
    spread over its steps.
    """

    beta: float = 0.15
    schedule: str = "constant"
    decay: float = 0.7
    pulls: int = 4
    per_step: bool = False

    def strength(
        self, epoch: int, parameters: State, zero_shot: State, accuracy_of: Callable[[], float]
    ) -> float:
        """Of the pull in this epoch; `accuracy_of` tells that of the parameters as they are."""
        if self.schedule == "constant":
            return self.beta
        if self.schedule == "decaying":
            return self.beta * self.decay**epoch
        if self.schedule == "accuracy":
            return self.beta * (1 - accuracy_of())
        if self.schedule == "validated":
            return validated(parameters, zero_shot, accuracy_of)
        raise ValueError(f"ADWE has no schedule {self.schedule!r}")
