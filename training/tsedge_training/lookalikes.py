"""Own drawings of things that look like a sign to a detector: car wheels and shop boards."""

import cv2
import numpy as np

from . import data
from .bank import EMPTY, Bank
from .catalogue import BACKGROUND
from .drawings import render
from .glyphs import text
from .own_signs import LETTERS, _pick, _svg

BODY = ("#e8e8e6", "#c9cccd", "#8b8f93", "#3b3e42", "#1b1c1e", "#7c1418", "#1d2f52", "#4d5a46")
RIM = ("#d5d7d8", "#b0b3b5", "#85888b", "#55585b")
BOARD = ("#ffffff", "#f2efe6", "#a31621", "#7d1f24", "#c8b28a", "#1d3a6e", "#2d5a3a", "#e0a526")
INK = ("#ffffff", "#a31621", "#1b1c1e", "#1d3a6e")


def added_to(bank: Bank, count: int, rng: np.random.Generator) -> Bank:
    """The bank and `count` lookalikes, spread over all regions, as pictures without a sign."""
    return Bank(
        images=np.concatenate([bank.images, pictures(count, rng)]),
        keys=np.append(bank.keys, [BACKGROUND] * count),
        region=np.append(bank.region, np.arange(count) % len(data.REGIONS)),
        source=np.append(bank.source, [EMPTY] * count),
        held_out=np.append(bank.held_out, [False] * count),
        caption=np.append(bank.caption, [""] * count),
    )


def pictures(count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """`count` squares as the encoder's training stores them."""
    makers = (wheel, wheel, shop_board)
    out = []
    for i in range(count):
        image = render(makers[i % len(makers)](rng))[..., :3]
        size = (data.STORED_PX, data.STORED_PX)
        out.append(cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA))
    return out


def wheel(rng):
    """A wheel seen more or less from the side, under the body of its car."""
    road = int(rng.uniform(35, 130))
    x, y = rng.uniform(42, 58, 2)
    radius = rng.uniform(32, 46)
    slim = rng.uniform(0.6, 1)
    rim, spoke = rng.uniform(0.6, 0.8), _pick(rng, RIM)
    body = f'<rect width="100" height="100" fill="rgb({road},{road},{road})"/>'
    body += f'<rect width="100" height="{rng.uniform(45, 80)}" fill="{_pick(rng, BODY)}"/>'
    body += f'<g transform="translate({x} {y}) scale({radius * slim} {radius})">'
    body += f'<circle r="{rng.uniform(1.02, 1.2)}" fill="#0c0c0d"/><circle r="1" fill="#1d1d1f"/>'
    filled = rng.random() < 0.4  # a hub cap with holes, or open spokes
    body += f'<circle r="{rim}" fill="{spoke if filled else "#2b2c2e"}"/>'
    number, turn, wide = int(rng.integers(4, 11)), rng.uniform(0, 90), rng.uniform(0.08, 0.25)
    colour = "#1d1d1f" if filled else spoke
    inner, outer = (0.3, rim - 0.1) if filled else (0, rim)
    for i in range(number):
        body += (
            f'<path d="M{inner},0 H{outer}" stroke="{colour}" stroke-width="{wide}" '
            f'transform="rotate({turn + 360 * i / number})"/>'
        )
    if not filled:
        body += f'<circle r="{rim}" fill="none" stroke="{spoke}" stroke-width="0.06"/>'
    return _svg(body + f'<circle r="0.14" fill="{spoke}"/></g>')


def shop_board(rng):
    """A board of a shop or a mall: made-up words in bands of colour, before the sky."""
    red, green, blue = (int(v) for v in rng.uniform((110, 130, 150), (220, 230, 250)))
    body = f'<rect width="100" height="100" fill="rgb({red},{green},{blue})"/>'
    left, top = rng.uniform(6, 20, 2)
    wide, high = 100 - 2 * left, 100 - top - rng.uniform(0, 20)
    bands = int(rng.integers(1, 5))
    step = high / bands
    for i in range(bands):
        low = top + i * step
        body += (
            f'<rect x="{left}" y="{low}" width="{wide}" height="{step}" fill="{_pick(rng, BOARD)}" '
            f'stroke="#888" stroke-width="{rng.uniform(0, 2)}"/>'
        )
        word = "".join(_pick(rng, LETTERS) for _ in range(rng.integers(4, 10)))
        ink = _pick(rng, INK)
        body += text(word, left + 5, low + step / 4, wide - 10, min(step / 2, 22), 0.15, ink)
        if rng.random() < 0.25:
            points = " ".join(
                f"{rng.uniform(left, left + wide):.0f},{rng.uniform(low, low + step):.0f}"
                for _ in range(6)
            )
            body += f'<polygon points="{points}" fill="{_pick(rng, INK)}"/>'
    return _svg(body)
