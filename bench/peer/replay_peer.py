#!/usr/bin/env python3
"""The work of `tsedge replay` as one would write it in Python: OpenCV, ONNX Runtime, NumPy.

    replay_peer.py drive.mp4 --models models --region DE --threads 2

Reads the same model cards and region pack, follows the same rules for what is encoded and when a
sign counts as confirmed, prints the confirmed signs and a last line of JSON with the figures.
"""

import argparse
import json
import resource
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from safetensors import safe_open

# The rules of tsedge's defaults.
ESTABLISH_OBSERVATIONS = 2
LOST_AFTER_S = 0.34
CROPS_PER_FRAME = 8
MIN_CROP_SIDE_PX = 12.0
GROWTH = 1.15
AGREEING = 4
AGREEING_SPEED_LIMIT = 5
AGREEING_TO_CORRECT = 5
MIN_NAMED_SIDE_PX = 20.0

BAND_BOTTOM = 0.9

MIN_TRACK_IOU = 0.2


def session(card: dict, folder: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that spin while they wait take the processors from the decoder and the other session.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(folder / card["file"], options, ["CPUExecutionProvider"])


def planar_rgb(bgr: np.ndarray, out: np.ndarray) -> None:
    """Interleaved BGR into the planes of `out` [3, h, w]."""
    for plane, channel in zip(out, (2, 1, 0), strict=True):
        cv2.extractChannel(bgr, channel, plane)


def shrink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    # Averaging keeps far reductions true; down to half size plain bilinear does, and is faster.
    far = size[0] * 2 < image.shape[1] or size[1] * 2 < image.shape[0]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if far else cv2.INTER_LINEAR)


class Detector:
    def __init__(self, folder: Path, threads: int, frame_px: tuple[int, int]):
        card = tomllib.loads((folder / "detector.toml").read_text())
        self.session = session(card, folder, threads)
        self.input = card["input"]["name"]
        self.outputs = card["outputs"]
        self.rule = card["detector"]
        width, height = frame_px
        self.rows = round(height * BAND_BOTTOM / 2) * 2
        height = self.rows
        self.scale = min(1.0, self.rule["long_side_px"] / max(width, height))
        self.size = (round(width * self.scale), round(height * self.scale))
        multiple = card["input"]["multiple_of_px"]
        padded = [-(-side // multiple) * multiple for side in self.size]
        self.canvas = np.full((1, 3, padded[1], padded[0]), card["input"]["pad_value"], np.uint8)
        low = self.rule["low_threshold"]
        self.least_logit = np.log(low / (1.0 - low))

    def __call__(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (left, top, right, bottom in frame pixels) and scores."""
        width, height = self.size
        frame = frame[: self.rows]
        small = frame if self.scale == 1.0 else shrink(frame, self.size)
        planar_rgb(small, self.canvas[0, :, :height, :width])
        names = [output["name"] for output in self.outputs]
        maps = self.session.run(names, {self.input: self.canvas})
        levels = zip(maps, self.outputs, strict=True)
        found = [self.candidates(level[0], output["stride_px"]) for level, output in levels]
        boxes, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        if len(scores) == 0:
            return boxes, scores
        sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        keep = cv2.dnn.NMSBoxes(sides, scores, 0.0, self.rule["nms_iou"])
        limits = [frame.shape[1], frame.shape[0]] * 2
        return np.clip(boxes[keep] / self.scale, 0, limits), scores[keep]

    def candidates(self, level: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = np.nonzero(level[4] > self.least_logit)
        dx, dy, log_w, log_h, logit = level[:, rows, columns]
        centre = np.stack([dx + columns, dy + rows], axis=1) * stride
        half = np.exp(np.minimum(np.stack([log_w, log_h], axis=1), 8.0)) * stride / 2
        return np.concatenate([centre - half, centre + half], axis=1), 1 / (1 + np.exp(-logit))


class Encoder:
    def __init__(self, folder: Path, threads: int):
        card = tomllib.loads((folder / "encoder.toml").read_text())
        self.session = session(card, folder, threads)
        self.input = card["input"]["name"]
        self.output = card["output"]["name"]
        self.dim = card["output"]["dim"]
        self.context = card["input"]["context"]
        self.crop = np.empty(card["input"]["shape"], np.uint8)

    def __call__(self, frame: np.ndarray, box: np.ndarray) -> np.ndarray:
        grow = np.tile((box[2:] - box[:2]) * self.context, 2) * (-1, -1, 1, 1)
        x0, y0, x1, y1 = np.rint(box + grow).astype(int)
        height, width = frame.shape[:2]
        x0, y0 = max(0, min(x0, width - 1)), max(0, min(y0, height - 1))
        part = frame[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
        planar_rgb(shrink(part, self.crop.shape[:1:-1]), self.crop[0])
        return self.session.run([self.output], {self.input: self.crop})[0][0]


class Bank:
    """A region pack: rows of embeddings, their classes, and the calibration."""

    def __init__(self, path: Path):
        with safe_open(path, "np") as pack:
            metadata = pack.metadata()
            there = set(pack.keys())
            pairs = [("text", "class_of"), ("image", "image_class_of")]
            pairs = [pair for pair in pairs if pair[0] in there]
            rows = np.concatenate([pack.get_tensor(rows) for rows, _ in pairs])
            class_of = np.concatenate([pack.get_tensor(index) for _, index in pairs])
        self.classes = json.loads(metadata["classes"])
        # Sorted by class, so that the best row of each class is one `reduceat`.
        order = np.argsort(class_of, kind="stable")
        self.rows, ordered = rows[order], class_of[order]
        self.present, self.starts = np.unique(ordered, return_index=True)
        rule = json.loads(metadata["calibration"])
        keys = [entry["key"] for entry in self.classes]
        self.scale, self.min_cosine = rule["scale"], rule["min_cosine"]
        self.bias = np.array([rule.get("bias", {}).get(key, 0.0) for key in keys])
        least, single = rule["min_probability"], rule.get("min_probability_of", {})
        self.min_probability = [single.get(key, least) for key in keys]

    def name(self, embedding: np.ndarray) -> tuple[int | None, int, float]:
        """The class this embedding is named as, if any, the best class, and its probability."""
        cosine = np.full(len(self.classes), -np.inf)
        cosine[self.present] = np.maximum.reduceat(self.rows @ embedding, self.starts)
        logits = self.scale * cosine + self.bias
        best = int(logits.argmax())
        probability = float(1.0 / np.exp(logits - logits[best]).sum())
        named = (
            self.classes[best]["family"] not in ("background", "other_sign")
            and probability >= self.min_probability[best]
            and cosine[best] >= self.min_cosine
        )
        return (best if named else None), best, probability


@dataclass
class Track:
    id: int
    box: np.ndarray
    score: float
    seen_s: float
    observations: int = 1
    established: bool = False
    detected: bool = True
    encoded: int = 0
    largest_side_px: float = 0.0
    sum: np.ndarray | float = field(default=0.0)
    named: int | None = None
    best: int | None = None
    agreeing: int = 0
    confirmed: int | None = None

    def side_px(self) -> float:
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))


class Tracker:
    """Greedy overlap with the last box."""

    def __init__(self, start_score: float):
        self.start_score = start_score
        self.tracks: list[Track] = []
        self.next_id = 0

    def update(self, time_s: float, boxes: np.ndarray, scores: np.ndarray) -> None:
        for track in self.tracks:
            track.detected = False
        free = set(range(len(scores)))
        if self.tracks and free:
            overlap = iou(np.stack([t.box for t in self.tracks]), boxes)
            for flat in np.argsort(-overlap, axis=None):
                row, column = divmod(int(flat), len(scores))
                if overlap[row, column] < MIN_TRACK_IOU:
                    break
                track = self.tracks[row]
                if track.detected or column not in free:
                    continue
                free.remove(column)
                track.box, track.score = boxes[column], float(scores[column])
                track.seen_s, track.detected = time_s, True
                track.observations += 1
        for column in sorted(free):
            if scores[column] >= self.start_score:
                track = Track(self.next_id, boxes[column], float(scores[column]), time_s)
                self.tracks.append(track)
                self.next_id += 1
        self.tracks = [
            t
            for t in self.tracks
            if time_s - t.seen_s <= LOST_AFTER_S and (t.established or t.detected)
        ]
        for track in self.tracks:
            track.established |= track.observations >= ESTABLISH_OBSERVATIONS


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    area_a, area_b = (np.prod(x[:, 2:] - x[:, :2], axis=1) for x in (a, b))
    return shared / np.maximum(area_a[:, None] + area_b[None] - shared, 1e-9)


def urgency(track: Track, frame_px: tuple[int, int]) -> int | None:
    """How soon a track deserves the encoder; lower is sooner, `None` is not now."""
    if not (track.detected and track.established) or track.side_px() < MIN_CROP_SIDE_PX:
        return None
    if track.encoded == 0:
        return 0
    x0, y0, x1, y1 = track.box
    if x0 < 1 or y0 < 1 or x1 > frame_px[0] - 1 or y1 > frame_px[1] - 1:
        return None
    if track.confirmed is None or track.confirmed != track.named:
        return 1
    return 2 if track.side_px() >= track.largest_side_px * GROWTH else None


def learn(track: Track, embedding: np.ndarray, bank: Bank) -> float | None:
    """Adds an embedding; the probability when the track is confirmed (or corrected) by it."""
    side = track.side_px()
    track.sum = track.sum + min(max((side / 32.0) ** 1.5, 0.1), 3.0) * track.score * embedding
    track.encoded += 1
    track.largest_side_px = max(track.largest_side_px, side)
    before = track.best
    unit = track.sum / np.linalg.norm(track.sum)
    track.named, track.best, probability = bank.name(unit)
    if track.named is None:
        track.agreeing = 0
        return None
    track.agreeing = track.agreeing + 1 if track.named == before else 1
    if track.named == track.confirmed:
        return None
    is_limit = bank.classes[track.named]["family"] == "speed_limit"
    needed = AGREEING_SPEED_LIMIT if is_limit else AGREEING
    if track.confirmed is not None:
        needed = AGREEING_TO_CORRECT
    if track.agreeing < needed or track.largest_side_px < MIN_NAMED_SIDE_PX:
        return None
    track.confirmed = track.named
    return probability


def replay(args: argparse.Namespace) -> dict:
    capture = cv2.VideoCapture(str(args.file))
    if not capture.isOpened():
        raise SystemExit(f"{args.file}: cannot be opened as a video")
    frame_px = tuple(
        int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    rate_hz = capture.get(cv2.CAP_PROP_FPS) or 30.0
    detector = Detector(args.models, args.threads, frame_px)
    encoder = Encoder(args.models, args.threads)
    bank = Bank(args.models / "packs" / f"{args.region}.safetensors")
    tracker = Tracker(detector.rule["score_threshold"])
    signs, frames, crops = {}, 0, 0
    started = time.perf_counter()
    while True:
        there, frame = capture.read()
        if not there:
            break
        time_s = frames / rate_hz
        tracker.update(time_s, *detector(frame))
        ranked = ((urgency(t, frame_px), -t.side_px(), t.id, t) for t in tracker.tracks)
        queue = sorted(entry for entry in ranked if entry[0] is not None)
        for *_, track in queue[:CROPS_PER_FRAME]:
            crops += 1
            probability = learn(track, encoder(frame, track.box), bank)
            if probability is not None:
                sign = bank.classes[track.confirmed]
                signs[track.id] = {
                    "time_s": round(time_s, 3),
                    "track": track.id,
                    "class": sign["key"],
                    "probability": round(probability, 3),
                }
                print(f"{time_s:8.2f}  {sign['label_en']:<40} {probability:.3f}", flush=True)
        frames += 1
    seconds = time.perf_counter() - started
    return {
        "frames": frames,
        "seconds": round(seconds, 3),
        "fps": round(frames / max(seconds, 1e-9), 2),
        "crops": crops,
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "signs": list(signs.values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--region", default="WORLD")
    parser.add_argument("--threads", type=int, default=2, help="threads inside a model")
    print(json.dumps(replay(parser.parse_args())))


if __name__ == "__main__":
    main()
