import torch

from detector.loss import Truth, decode, detection_loss
from detector.network import Detector


def truth(boxes: list[list[float]], partly_labelled: bool = False) -> Truth:
    return Truth(torch.tensor(boxes).reshape(-1, 4), torch.zeros(0, 4), partly_labelled)


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
    right = detection_loss(outputs, [truth([box])])
    wrong = detection_loss(outputs, [truth([[36.0, 24.0, 68.0, 54.0]])])
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
    assert detection_loss(loud, [whole]) > detection_loss(quiet, [whole]) + 1
    assert torch.isclose(detection_loss(loud, [part]), detection_loss(quiet, [part]))


def test_ignored_areas_teach_nothing() -> None:
    box, elsewhere = [8.0, 8.0, 24.0, 24.0], torch.tensor([[96.0, 64.0, 128.0, 96.0]])
    quiet, loud = perfect_outputs(box), perfect_outputs(box)
    loud[0][0, 4, -1, -1] = 12.0
    ignoring = Truth(torch.tensor([box]), elsewhere, False)
    assert torch.isclose(detection_loss(loud, [ignoring]), detection_loss(quiet, [ignoring]))


def test_a_picture_without_signs_gives_a_gradient() -> None:
    net = Detector()
    loss = detection_loss(net(torch.rand(1, 3, 64, 64) * 255), [truth([])])
    loss.backward()
    assert net.head8.score.weight.grad.abs().sum() > 0
