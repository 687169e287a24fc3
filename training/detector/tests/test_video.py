from pathlib import Path

import cv2
import numpy as np
import pytest

from detector import drives, video
from detector.scenes import Scene
from tsedge_training.paths import MODELS

from . import drawn_drive as drawn


def test_a_drive_is_read_frame_by_frame_with_its_boxes(tmp_path: Path) -> None:
    drive = drives.read(*drawn.write(tmp_path))
    scenes = list(drives.scenes(drive))
    assert len(scenes) == drawn.FRAMES
    shown = dict(drawn.visible())
    for frame, scene in enumerate(scenes):
        assert scene.image.shape == (drawn.HEIGHT, drawn.WIDTH, 3)
        boxes = [shown[frame]] if frame in shown else []
        assert scene.boxes == pytest.approx(np.array(boxes, np.float32).reshape(-1, 4))
    frame, box = drawn.visible()[-1]
    x, y = (int(box[0] + box[2]) // 2, int(box[1] + box[3]) // 2)
    assert scenes[frame].image[y, x].min() > 220  # the disc's white middle


def test_a_sign_too_small_or_cut_by_the_edge_is_ignored_where_it_is(tmp_path: Path) -> None:
    drive = drives.read(*drawn.write(tmp_path))
    first, last = drawn.visible()[0][0], drawn.visible()[-1][0]
    assert 0 < first < last < drawn.FRAMES - 1
    assert set(drive.ignored) == {*range(first), last + 1}
    before, after = drive.ignored[first - 1][0], drive.ignored[last + 1][0]
    wanted = drawn.box_at(first - 1)
    assert (before[:2] + before[2:]) / 2 == pytest.approx((wanted[:2] + wanted[2:]) / 2, abs=0.1)
    assert before[2] - before[0] == pytest.approx(12)
    size = [drawn.WIDTH, drawn.HEIGHT] * 2
    assert after == pytest.approx(np.clip(drawn.box_at(last + 1), 0, size), abs=0.1)


def test_hits_misses_and_false_alarms_are_counted_by_size_and_drawn_in_their_colours() -> None:
    grey = np.full((200, 400, 3), 128, np.uint8)
    signs = np.array([[300, 100, 314, 114], [100, 150, 140, 190]], np.float32)
    found = np.array([[300, 100, 314, 115, 0.9], [340, 20, 358, 38, 0.8]], np.float32)
    scene = Scene("x", grey, signs)
    shown = list(video.annotated(iter([scene, scene]), lambda _: found, 0.5, 400))
    assert len(shown) == 2
    picture, kinds, places = shown[1]
    assert (kinds, places) == (3, 3)
    assert picture[107, 298].tolist() == list(video.COLOURS["hits"])
    assert picture[170, 98].tolist() == list(video.COLOURS["misses"])
    assert picture[29, 338].tolist() == list(video.COLOURS["false"])
    counts = {"12-16 px": [2, 0, 0], "16-20 px": [0, 0, 2], "32 px and up": [0, 2, 0]}
    blank = np.full_like(grey, 128)
    video.write_counts(blank, {size: counts.get(size, [0, 0, 0]) for size in video.SIZES})
    assert (picture[:100, :250] == blank[:100, :250]).all()


def test_the_command_writes_a_video_and_a_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive, truth = drawn.write(tmp_path)
    out, still = tmp_path / "out.mp4", tmp_path / "still.png"
    monkeypatch.setattr(
        "sys.argv",
        ["video", str(drive), "--truth", str(truth), "--model", str(MODELS / "detector.onnx")]
        + ["--out", str(out), "--size", "320", "--width", "640", "--still", str(still)]
        + ["--from-s", "1", "--seconds", "0.8"],
    )
    video.main()
    assert [picture.shape for picture in drives.pictures(out)] == [(360, 640, 3)] * 8
    assert cv2.imread(str(still)).shape == (360, 640, 3)
