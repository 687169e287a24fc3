"""From a scene to a training crop: cut and scale, change the light, paste, blur, flip.

Scales go mostly down: GTSDB leaves signs under 12 px (at 1024 px width) unlabelled, and enlarging
would show them to the net as background.
"""

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from .patches import Patch, distractor
from .scenes import no_boxes
from .stock import Stock

PAD_VALUE = 114
REGION_WEIGHT = {"US": 3.0}  # its white rectangles appear in no labelled frame


@dataclass(frozen=True)
class AugmentConfig:
    size_px: int = 352
    min_scale: float = 0.5
    max_scale: float = 1.4
    min_sign_px: float = 9.0
    aim_at_sign: float = 0.65  # share of crops cut around a sign
    aim_at_hard: float = 0.2  # and around background that was taken for one, where known
    partly_labelled_share: float = 0.25  # of the crops around a sign
    paste_share: float = 0.5
    board_share: float = 0.18  # of them are boards of towns and roads, counted without stacks
    stack_share: float = 0.35  # of the pasted signs carry another one below, close to it
    distractor_share: float = 0.25
    flat_share: float = 0.03


@dataclass
class Crop:
    image: np.ndarray  # RGB u8
    boxes: np.ndarray
    ignore: np.ndarray
    partly_labelled: bool


class Augmenter:
    """Draws endless random crops; the same seed gives the same crops."""

    def __init__(self, stock: Stock, config: AugmentConfig, seed: int):
        scenes, photos = stock.scenes, stock.photos
        self.photos = [photos[region] for region in sorted(photos)]
        weights = np.array([REGION_WEIGHT.get(region, 1.0) for region in sorted(photos)])
        self.region_share = weights / weights.sum()
        self.drawings, self.boards = stock.drawings, stock.boards
        self.config = config
        self.rng = np.random.default_rng(seed)
        self.whole = [scene for scene in scenes if not scene.partly_labelled]
        self.partial = [scene for scene in scenes if scene.partly_labelled]
        self.signs = {
            partly: [(s, box) for s in scenes if s.partly_labelled == partly for box in s.boxes]
            for partly in (False, True)
        }
        self.hard = [(scene, box) for scene in scenes for box in scene.hard]

    def draw(self) -> Crop:
        rng, config = self.rng, self.config
        if rng.random() < config.flat_share:
            crop = Crop(flat_road(rng, config.size_px), no_boxes(), no_boxes(), False)
        else:
            crop = self._cut()
        image = change_light(rng, crop.image)
        if rng.random() < config.distractor_share:
            for _ in range(rng.integers(1, 4)):
                self._paste(image, crop, distractor(rng))
        if (self.photos or self.drawings) and rng.random() < config.paste_share:
            for _ in range(rng.integers(1, 4)):
                on_board = self.boards and rng.random() < config.board_share
                sign = self._some(self.boards) if on_board else self._some_sign()
                placed = self._paste(image, crop, sign)
                while placed is not None and rng.random() < config.stack_share:
                    placed = self._paste(image, crop, self._some_sign(), above=placed)
        crop.image = degrade(rng, image)
        if rng.random() < 0.5:
            crop.image = cv2.flip(crop.image, 1)
            for boxes in (crop.boxes, crop.ignore):
                boxes[:, [0, 2]] = config.size_px - boxes[:, [2, 0]]
        return crop

    def _some_sign(self) -> Patch:
        rng = self.rng
        if not self.photos or (self.drawings and rng.random() < 0.45):
            return self._some(self.drawings)
        return self._some(self.photos[rng.choice(len(self.photos), p=self.region_share)])

    def _some(self, patches: list[Patch]) -> Patch:
        return patches[self.rng.integers(len(patches))]

    def _cut(self) -> Crop:
        rng, config = self.rng, self.config
        size = config.size_px
        kind, target = rng.random(), None
        partly = rng.random() < config.partly_labelled_share and bool(self.partial)
        if self.signs[partly] and kind < config.aim_at_sign:
            signs = self.signs[partly]
            scene, target = signs[rng.integers(len(signs))]
        elif self.hard and kind < config.aim_at_sign + config.aim_at_hard:
            scene, target = self.hard[rng.integers(len(self.hard))]
        else:
            scene = self.whole[rng.integers(len(self.whole))]
        height, width = scene.image.shape[:2]
        scale = float(np.exp(rng.uniform(np.log(config.min_scale), np.log(config.max_scale))))
        scale = max(scale, 0.85 * size / min(height, width))  # little padding
        x0 = rng.uniform(0, max(1.0, width - size / scale))
        y0 = rng.uniform(0, max(1.0, height - size / scale))
        if target is not None:
            side = float((target[2:] - target[:2]).max())
            scale = min(scale, 0.6 * size / side)
            centre = (target[:2] + target[2:]) / 2
            x0, y0 = centre - rng.uniform(0.08, 0.92, 2) * size / scale
            x0 = float(np.clip(x0, 0, max(0.0, width - size / scale)))
            y0 = float(np.clip(y0, 0, max(0.0, height - size / scale)))
        # Whole pixels of the scene are cut out, so that scaling them fills the crop.
        stretch = np.array([scale * rng.uniform(0.93, 1.07), scale])
        across, down = np.round(size / stretch).astype(int)
        stretch = size / np.array([across, down])
        left, top = round(x0), round(y0)
        image = scene.image[top : top + down, left : left + across]
        if scale < 0.75:
            image = cv2.GaussianBlur(image, (0, 0), 0.35 / scale)
        missing = down - image.shape[0], across - image.shape[1]
        if max(missing) > 0:
            kind, grey = cv2.BORDER_CONSTANT, (PAD_VALUE, PAD_VALUE, PAD_VALUE)
            image = cv2.copyMakeBorder(image, 0, missing[0], 0, missing[1], kind, value=grey)
        image = cv2.resize(image, (size, size))
        boxes, hidden = _clip_boxes(scene.boxes, (left, top), stretch, size, config.min_sign_px)
        more, more_hidden = _clip_boxes(scene.ignore, (left, top), stretch, size, 0)
        return Crop(
            image, boxes, np.concatenate([hidden, more, more_hidden]), scene.partly_labelled
        )

    def _paste(
        self,
        image: np.ndarray,
        crop: Crop,
        patch: Patch,
        above: np.ndarray | None = None,
    ) -> np.ndarray | None:
        """The box of the sign, where there was room: anywhere, or close below the sign `above`."""
        rng, size = self.rng, self.config.size_px
        least_px, most_px = patch.sides_px
        wanted_px = float(np.exp(rng.uniform(np.log(least_px), np.log(most_px))))
        if above is not None:
            # As wide as the sign above, but not as a town board.
            side_px = float(np.sqrt((above[2:] - above[:2]).prod()))
            wanted_px = np.clip(side_px * rng.uniform(0.75, 1.1), least_px, most_px)
        scale = wanted_px / max(patch.rgb.shape[:2]) / patch.sign_share
        if scale > 1.8:
            return None
        rgb, alpha = _scaled(rng, patch, scale)
        height, width = alpha.shape
        if max(height, width) > size - 8:
            return None
        if above is None:
            x0, y0 = (int(rng.integers(1, size - side - 1)) for side in (width, height))
        else:
            gap = (rng.uniform(0, 0.15) - (1 - patch.sign_share) / 2) * height
            x0 = round((above[0] + above[2] - width) / 2 + rng.uniform(-0.05, 0.05) * width)
            y0 = round(above[3] + gap)
            if min(x0, y0) < 1 or x0 + width >= size or y0 + height >= size:
                return None
        box = np.array([x0, y0, x0 + width, y0 + height], np.float32)
        margin = (box[2:] - box[:2]) * (1 - patch.sign_share) / 2
        found = np.concatenate([box[:2] + margin, box[2:] - margin]).astype(np.float32)
        taken = box if above is None else found
        others = np.concatenate([crop.boxes, crop.ignore])
        overlap = np.minimum(others[:, 2:], taken[2:]) - np.maximum(others[:, :2], taken[:2])
        if (overlap.min(1) > 1).any():
            return None
        if rng.random() < 0.5:
            rgb = cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.3, 0.9))
        under = image[y0 : y0 + height, x0 : x0 + width]
        trust = rng.uniform(0, 0.8)  # how far the patch takes the light of its place
        light = np.clip((under.mean() + 30) / (rgb.mean() + 30), 0.4, 2.2)
        rgb = np.clip(rgb * (1 - trust + trust * light), 0, 255)
        image[y0 : y0 + height, x0 : x0 + width] = np.clip(
            under + (rgb - under) * alpha[..., None], 0, 255
        )
        if patch.shows == "unclear":
            crop.ignore = np.concatenate([crop.ignore, found[None]])
        if patch.shows != "sign":
            return None
        if rng.random() < 0.3:
            _posts(rng, image, box)
        crop.boxes = np.concatenate([crop.boxes, found[None]])
        return found


def _clip_boxes(
    boxes: np.ndarray, origin: tuple, stretch: np.ndarray, size: int, min_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes in crop pixels: those to learn, and those too small or too cut to count."""
    moved = (boxes - np.tile(origin, 2)) * np.tile(stretch, 2)
    clipped = np.clip(moved, 0, size).astype(np.float32)
    sides = clipped[:, 2:] - clipped[:, :2]
    visible = sides.prod(1) / ((moved[:, 2:] - moved[:, :2]).prod(1) + 1e-6)
    good = (visible > 0.5) & (sides.max(1, initial=0) >= min_px)
    return clipped[good], clipped[~good & (visible > 0.02)]


def _scaled(rng: np.random.Generator, patch: Patch, scale: float) -> tuple[np.ndarray, np.ndarray]:
    squeeze = rng.uniform(0.8, 1.05)
    height, width = patch.rgb.shape[:2]
    target = (max(4, round(width * scale * squeeze)), max(4, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    rgb = cv2.resize(patch.rgb, target, interpolation=how).astype(np.float32)
    if patch.alpha is not None:
        return rgb, cv2.resize(patch.alpha, target, interpolation=how)
    width, height = target
    alpha = np.zeros((height, width), np.float32)
    edge = max(1, int(0.04 * min(width, height)))
    if patch.rectangular or rng.random() < 0.4:
        alpha[edge : height - edge, edge : width - edge] = 1
    else:
        axes = (max(1, width // 2 - edge // 2), max(1, height // 2 - edge // 2))
        cv2.ellipse(alpha, (width // 2, height // 2), axes, 0, 0, 360, 1, -1)
    return rgb, cv2.GaussianBlur(alpha, (0, 0), max(0.6, 0.04 * min(width, height)))


def _posts(rng: np.random.Generator, image: np.ndarray, box: np.ndarray) -> None:
    """One below the middle, or one at each end of a wide board."""
    sides = box[2:] - box[:2]
    width = max(1, int(sides.min() * rng.uniform(0.05, 0.12)))
    bottom = int(box[3] + sides.min() * rng.uniform(0.5, 5))
    grey = rng.uniform(40, 200)
    end = rng.uniform(0.05, 0.3)
    for at in (end, 1 - end) if sides[0] > 1.4 * sides[1] else (0.5,):
        x = int(box[0] + at * sides[0]) - width // 2
        image[int(box[3]) : bottom, max(0, x) : x + width] = grey


def change_light(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """u8 to u8: one curve a channel, then the saturation."""
    curve = np.repeat(np.arange(256, dtype=np.float32)[:, None], 3, 1)
    saturation = 1.0
    if rng.random() < 0.15:  # against the light, or at dusk
        curve = curve * rng.uniform(0.25, 0.65)
    elif rng.random() < 0.8:
        curve = curve * rng.uniform(0.65, 1.35) + rng.uniform(-20, 20)
        if rng.random() < 0.5:
            mean = cv2.LUT(image[::4, ::4], _bytes(curve)).mean()
            curve = (curve - mean) * rng.uniform(0.6, 1.4) + mean
        curve = curve * rng.uniform(0.88, 1.12, 3).astype(np.float32)
        if rng.random() < 0.6:
            saturation = 0.0 if rng.random() < 0.08 else rng.uniform(0.4, 1.5)
        if rng.random() < 0.3:
            curve = 255 * (np.clip(curve, 0, 255) / 255) ** rng.uniform(0.6, 1.6)
    image = cv2.LUT(image, _bytes(curve))
    if saturation != 1.0:
        image = cv2.transform(image, saturation * np.eye(3) + (1 - saturation) / 3)
    return image


def _bytes(curve: np.ndarray) -> np.ndarray:
    return np.clip(curve, 0, 255).astype(np.uint8)[None]


@functools.cache
def _noise() -> np.ndarray:
    """Drawn once, then cut anywhere: drawing it anew takes as long as all else that degrades."""
    return np.random.default_rng(0).standard_normal(1 << 21, np.float32)


def degrade(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    kind = rng.random()
    if kind < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.4))
    elif kind < 0.27:
        reach = int(rng.integers(1, 3))
        kernel = (1, 2 * reach + 1) if rng.random() < 0.3 else (2 * reach + 1, 1)
        image = cv2.blur(image, kernel)
    if rng.random() < 0.3:
        noise = _noise()
        start = rng.integers(len(noise) - image.size)
        grain = noise[start : start + image.size].reshape(image.shape) * rng.uniform(2, 10)
        image = cv2.add(image, grain.astype(np.int16), dtype=cv2.CV_8U)
    if rng.random() < 0.3:
        quality = int(rng.integers(25, 90))
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return image


def flat_road(rng: np.random.Generator, size: int) -> np.ndarray:
    """A scene as a simulator draws it: sky, ground, a road to the horizon, some boxes."""
    sky, ground = rng.uniform((90, 120, 150), (190, 210, 255)), rng.uniform(40, 150, 3)
    road = np.full(3, rng.uniform(50, 130))
    horizon = int(size * rng.uniform(0.3, 0.7))
    image = np.empty((size, size, 3), np.float32)
    fade = np.linspace(rng.uniform(0.6, 1), 1.1, horizon)[:, None, None]
    image[:horizon] = sky * fade
    image[horizon:] = ground
    middle = size * rng.uniform(0.1, 0.9)
    for _ in range(rng.integers(0, 6)):
        x, width = rng.integers(0, size), rng.integers(20, 120)
        top = horizon - rng.integers(5, 140)
        image[max(0, top) : horizon, x : x + width] = rng.uniform(40, 220, 3)
    corners = np.array(
        [[middle - 4, horizon], [middle + 4, horizon], [middle + size, size], [middle - size, size]]
    )
    cv2.fillConvexPoly(image, corners.astype(np.int32), road.tolist())
    line = np.array([[middle, horizon], [middle + 6, size], [middle - 6, size]])
    cv2.fillConvexPoly(image, line.astype(np.int32), (235.0, 235.0, 235.0))
    return np.clip(image, 0, 255).astype(np.uint8)
