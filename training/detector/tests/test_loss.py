import numpy as np
import pytest
import torch

from detector.augment import Crop
from detector.feed import padded
from detector.loss import Truth, decode, detection_loss
from detector.network import STRIDES_PX, Detector


def truth(
    boxes: list[list[float]], partly_labelled: bool = False, ignore: list[list[float]] | None = None
) -> Truth:
    areas = [np.array(some, np.float32).reshape(-1, 4) for some in (boxes, ignore or [])]
    return Truth(*map(torch.from_numpy, padded([Crop(np.zeros(0), *areas, partly_labelled)])))


def perfect_outputs(box: list[float], height: int = 96, width: int = 128) -> tuple:
    """Every cell says `box`; stride-16 cells near its centre are sure of it, the rest are not."""
    outputs = []
    x0, y0, x1, y1 = box
    for stride in (8, 16):
        rows, columns = torch.meshgrid(
            torch.arange(height // stride), torch.arange(width // stride), indexing="ij"
        )
        dx, dy = (x0 + x1) / 2 / stride - columns, (y0 + y1) / 2 / stride - rows
        near = torch.maximum((dx - 0.5).abs(), (dy - 0.5).abs()) < 1.5
        log_w = torch.full_like(dx, (x1 - x0) / stride).log()
        log_h = torch.full_like(dx, (y1 - y0) / stride).log()
        score = torch.where(near & (stride == 16), 12.0, -12.0)
        outputs.append(torch.stack([dx, dy, log_w, log_h, score])[None].float())
    return tuple(outputs)


def test_a_perfect_answer_costs_less_than_a_shifted_one() -> None:
    box = [30.0, 20.0, 62.0, 50.0]
    outputs = perfect_outputs(box)
    right = detection_loss(outputs, truth([box]))
    wrong = detection_loss(outputs, truth([[36.0, 24.0, 68.0, 54.0]]))
    assert right < 0.2 * wrong


def test_decode_agrees_with_the_outputs_meaning() -> None:
    box = [30.0, 20.0, 62.0, 50.0]
    found = decode(perfect_outputs(box)).boxes[0]
    assert torch.allclose(found, torch.tensor([46.0, 35.0, 32.0, 30.0]), atol=1e-3)


def test_background_counts_only_where_it_is_known() -> None:
    """Far from its boxes a partly labelled picture teaches nothing."""
    box = [8.0, 8.0, 24.0, 24.0]
    quiet, loud = perfect_outputs(box), perfect_outputs(box)
    loud[0][0, 4, -1, -1] = 12.0
    whole, part = truth([box]), truth([box], partly_labelled=True)
    assert detection_loss(loud, whole) > detection_loss(quiet, whole) + 1
    assert torch.isclose(detection_loss(loud, part), detection_loss(quiet, part))


def test_ignored_areas_teach_nothing() -> None:
    box, elsewhere = [8.0, 8.0, 24.0, 24.0], [96.0, 64.0, 128.0, 96.0]
    quiet, loud = perfect_outputs(box), perfect_outputs(box)
    loud[0][0, 4, -1, -1] = 12.0
    ignoring = truth([box], ignore=[elsewhere])
    assert torch.isclose(detection_loss(loud, ignoring), detection_loss(quiet, ignoring))


def test_a_picture_without_signs_gives_a_gradient() -> None:
    net = Detector()
    loss = detection_loss(net(torch.rand(1, 3, 64, 64) * 255), truth([]))
    loss.backward()
    assert net.head8.score.weight.grad.abs().sum() > 0


def random_case(seed: int) -> tuple[tuple[torch.Tensor, ...], list[Crop]]:
    rng = np.random.default_rng(seed)
    pictures, height, width = 4, 96, 128
    outputs = []
    for stride in STRIDES_PX:
        shape = (height // stride, width // stride)
        parts = ((0.5, 1, 2), (1, 0.5, 2), (-2, 2, 1))
        raw = [rng.normal(mean, spread, (pictures, n, *shape)) for mean, spread, n in parts]
        outputs.append(torch.from_numpy(np.concatenate(raw, 1).astype(np.float32)))

    def boxes(count: int, smallest: float, largest: float) -> np.ndarray:
        low = rng.uniform(0, (width - 10, height - 10), (count, 2))
        sides = rng.uniform(smallest, largest, (count, 2))
        return np.concatenate([low, low + sides], 1).astype(np.float32)

    crops = []
    for _ in range(pictures):
        signs, ignored = rng.integers(0, 7), rng.integers(0, 3)
        areas = boxes(signs, 6, 60), boxes(ignored, 10, 40)
        crops.append(Crop(np.zeros(0), *areas, bool(rng.random() < 0.3)))
    return tuple(outputs), crops


@pytest.mark.parametrize(
    ("seed", "wanted"),
    list(enumerate((35.54602, 13.14777, 30.54111, 17.96834, 16.14328, 20.87278))),
)
def test_a_batch_costs_what_it_cost_picture_by_picture(seed: int, wanted: float) -> None:
    """`wanted`: of an implementation that assigned the signs of one picture after the other."""
    outputs, crops = random_case(seed)
    loss = detection_loss(outputs, Truth(*map(torch.from_numpy, padded(crops))))
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
