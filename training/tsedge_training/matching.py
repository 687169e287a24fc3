"""From embeddings to class scores, the way the runtime matches: the best row of each class."""

from dataclasses import dataclass

import numpy as np
import torch

from .catalogue import BACKGROUND, OTHER_SIGN, Catalogue
from .data import REGIONS, WORLD

A_WARNING = "children"  # a warning that every region has
ABSENT = -1e4  # the score of a class that the region does not have


@dataclass(frozen=True)
class RowTable:
    """Which rows speak for which class, region by region.

    Rows are all distinct sentences, then the prototypes of background, then those of other_sign.
    `rows` [C, K] holds row indices; `active` [R + 1, C, K] says which count, the world being last.
    """

    keys: list[str]
    sentences: list[str]
    rows: torch.Tensor
    active: torch.Tensor

    def present(self) -> torch.Tensor:
        """[R + 1, C]: the classes each region has."""
        return self.active.any(-1)

    def rows_of(self, region: str) -> list[tuple[int, int]]:
        """(row, class) pairs of one region."""
        active = self.active[region_index(region)]
        pairs = [(int(self.rows[c, k]), int(c)) for c, k in active.nonzero().tolist()]
        return sorted(pairs)


def region_index(code: str) -> int:
    return len(REGIONS) if code == WORLD else REGIONS.index(code)


def row_table(catalogue: Catalogue, prototypes: int) -> RowTable:
    keys = catalogue.keys()
    sentences = sorted({s for sign in catalogue.world.classes for s in sign.sentences})
    number = {sentence: i for i, sentence in enumerate(sentences)}
    free = {
        BACKGROUND: range(len(sentences), len(sentences) + prototypes),
        OTHER_SIGN: range(len(sentences) + prototypes, len(sentences) + 2 * prototypes),
    }
    per_class = [
        [number[s] for s in sign.sentences] + list(free.get(sign.key, []))
        for sign in catalogue.world.classes
    ]
    width = max(len(rows) for rows in per_class)
    table = np.zeros((len(keys), width), np.int64)
    active = np.zeros((len(REGIONS) + 1, len(keys), width), bool)
    for c, rows in enumerate(per_class):
        table[c, : len(rows)] = rows
        active[-1, c, : len(rows)] = True
    for r, code in enumerate(REGIONS):
        for sign in catalogue.regions[code].classes:
            c = keys.index(sign.key)
            wanted = {number[s] for s in sign.sentences} | set(free.get(sign.key, []))
            active[r, c] = active[-1, c] & np.isin(table[c], list(wanted))
    return RowTable(keys, sentences, torch.from_numpy(table), torch.from_numpy(active))


def spread_of_looks(table: RowTable) -> np.ndarray:
    """[R]: a share for each region, so that a look counts by the root of its number of regions.

    Else every further country with white triangles would push the diamonds out of training.
    """
    warning = table.active[:-1, table.keys.index(A_WARNING)].numpy()
    _, look, count = np.unique(warning, axis=0, return_inverse=True, return_counts=True)
    share = count[look.reshape(-1)] ** -0.5
    return share / share.sum()


def class_scores(cosines: torch.Tensor, rows: torch.Tensor, active: torch.Tensor) -> torch.Tensor:
    """[N, U] cosines -> [N, C]: the best active row of each class. `active` is [N, C, K]."""
    return cosines[:, rows].masked_fill(~active, ABSENT).amax(-1)


def drop_rows(active: torch.Tensor, rows: torch.Tensor, count: int, share: float) -> torch.Tensor:
    """Switches off a random share of the rows, so that every sentence learns to speak alone."""
    kept = torch.rand(count, device=rows.device) >= share
    thinned = active & kept[rows]
    return torch.where(thinned.any(-1, keepdim=True), thinned, active)
