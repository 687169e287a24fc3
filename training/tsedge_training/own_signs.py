"""Our own drawings: speed limits of every number, and boards that are no traffic sign.

Each function takes a random generator and gives one SVG; shape, colours, lettering and proportions
vary, so that the encoder learns the number and not one drawing of it.
"""

from .glyphs import STROKES, printed, text

REDS = ("#c1121c", "#d0021b", "#e30613", "#b3001b", "#cc0000")
BLUES = ("#1f3f9a", "#154889", "#0b5aa5", "#1d4ed8")
LETTERS = [c for c in STROKES if c.isalpha()]
DIGITS = "0123456789"
FACES = ("bold", "bold", "normal")


def _svg(body, width=100, height=100):
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{2 * width}" height="{2 * height}">{body}</svg>'
    )


def _pick(rng, options):
    return options[rng.integers(len(options))]


def _ring(rng, value, ink, paper):
    edge = rng.uniform(9, 14)
    rim = '<circle cx="50" cy="50" r="50" fill="white"/>' if rng.random() < 0.5 else ""
    radius = 49 if rim else 50
    width = {1: 20, 2: 46, 3: 62}[len(str(value))] * rng.uniform(0.85, 1.1)
    height = rng.uniform(34, 46) if value < 100 else rng.uniform(30, 42)
    weight = rng.uniform(0.12, 0.2)
    left, top = 50 - width / 2, 50 - height / 2
    if rng.random() < 0.4:
        digits = printed(str(value), left, top, width, height, ink, _pick(rng, FACES))
    else:
        gap = rng.uniform(0.35, 0.55)
        digits = text(str(value), left, top, width, height, weight, ink, gap)
    return (
        f'{rim}<circle cx="50" cy="50" r="{radius}" fill="{_pick(rng, REDS)}"/>'
        f'<circle cx="50" cy="50" r="{radius - edge}" fill="{paper}"/>{digits}'
    )


def speed_ring(rng, value):
    """Red ring, dark number; now and then the yellow centre of road works."""
    paper = "#f6c500" if rng.random() < 0.2 else _pick(rng, ("white", "#f4f4f0"))
    return _svg(_ring(rng, value, _pick(rng, ("black", "#111", "#222")), paper))


def speed_ring_jp(rng, value):
    return _svg(_ring(rng, value, _pick(rng, BLUES), "white"))


def speed_ring_arabic(rng, value):
    """Eastern Arabic digits above the western ones, as around the Gulf."""
    edge = rng.uniform(9, 13)
    wide = {1: 14, 2: 34, 3: 46}[len(str(value))]
    local = "".join(chr(0x660 + int(d)) for d in str(value))
    weight = rng.uniform(0.12, 0.18)
    return _svg(
        f'<circle cx="50" cy="50" r="50" fill="{_pick(rng, REDS)}"/>'
        f'<circle cx="50" cy="50" r="{50 - edge}" fill="white"/>'
        + text(local, 50 - wide / 2, 18, wide, 26, weight, "black")
        + text(str(value), 50 - wide / 2, 54, wide, 26, weight, "black")
    )


def speed_led(rng, value):
    """Variable sign: white or amber number in a red ring on black."""
    ink = _pick(rng, ("white", "#ffd27f"))
    ring = '<circle cx="50" cy="50" r="42" fill="none" stroke="#e22" stroke-width="7"/>'
    size = 40 if value < 100 else 52
    digits = text(str(value), 50 - size / 2, 32, size, 36, rng.uniform(0.1, 0.15), ink)
    return _svg(f'<rect width="100" height="100" fill="#111"/>{ring}{digits}')


def speed_plate(rng, value):
    """Upright white plate: SPEED LIMIT (US) or MAXIMUM (CA) over the number."""
    height = rng.uniform(118, 140)
    words = ["SPEED", "LIMIT"] if rng.random() < 0.65 else ["MAXIMUM"]
    metric = words == ["MAXIMUM"] and rng.random() < 0.6
    body = (
        f'<rect width="100" height="{height}" rx="6" fill="white"/><rect x="3" y="3" width="94" '
        f'height="{height - 6}" rx="5" fill="none" stroke="black" stroke-width="2.5"/>'
    )
    top, line = 11, rng.uniform(13, 17)
    for word in words:
        body += text(word, 17, top, 66, line, rng.uniform(0.12, 0.17), "black")
        top += line * 1.45
    if metric:
        body += text("KMH", 30, height - 20, 40, 11, 0.14, "black")
    room = height - top - (26 if metric else 10)
    tall = room * rng.uniform(0.75, 0.95)
    wide = (26 if value < 10 else 62) * rng.uniform(0.85, 1.1)
    body += text(str(value), 50 - wide / 2, top + 2, wide, tall, rng.uniform(0.13, 0.19), "black")
    return _svg(body, 100, height)


def zone_30(rng, ended=False):
    ink, red = ("#888", "#999") if ended else ("black", _pick(rng, REDS))
    body = '<rect width="100" height="100" fill="white" stroke="#333" stroke-width="3"/>'
    body += f'<circle cx="50" cy="40" r="28" fill="none" stroke="{red}" stroke-width="8"/>'
    body += text("30", 36, 30, 28, 20, 0.15, ink) + text("ZONE", 22, 78, 56, 13, 0.15, ink)
    if ended:
        for shift in (-12, -4, 4, 12):
            body += f'<path d="M{10 + shift},90 L{90 + shift},10" stroke="#222" stroke-width="3"/>'
    return _svg(body)


def _words(rng, lines, width, height, ink):
    body = ""
    step = height / lines
    for i in range(lines):
        line = "".join(_pick(rng, LETTERS) for _ in range(rng.integers(3, 9)))
        if rng.random() < 0.3:
            line = "".join(_pick(rng, DIGITS) for _ in range(rng.integers(1, 5)))
        wide = width * rng.uniform(0.4, 0.8)
        body += text(line, width * 0.08, step * (i + 0.25), wide, step * 0.5, 0.14, ink)
    return body


def text_board(rng):
    """Places on a direction board: several lines, an arrow or distances, unlike a town's board."""
    paper, ink = _pick(
        rng, (("#0b4ea2", "white"), ("white", "black"), ("#f6c500", "black"), ("#00703c", "white"),
              ("#7a4a21", "white"), ("white", "#154889"))
    )  # fmt: skip
    width, height = rng.uniform(90, 220), rng.uniform(50, 120)
    body = f'<rect width="{width}" height="{height}" rx="4" fill="{paper}"/>'
    if rng.random() < 0.5:
        body += (
            f'<rect x="3" y="3" width="{width - 6}" height="{height - 6}" fill="none" '
            f'stroke="{ink}" stroke-width="3"/>'
        )
    lines = int(rng.integers(1, 5))
    body += _words(rng, lines, width, height, ink)
    if lines < 2 or rng.random() < 0.5:
        turn = _pick(rng, (0, 90, 270, 45, 315))
        body += (
            f'<path transform="translate({width * 0.88} {height * rng.uniform(0.3, 0.7)}) '
            f'rotate({turn}) scale({min(width, height) / 200})" fill="{ink}" '
            'd="M0,-36 L22,-8 H8 V34 H-8 V-8 H-22 Z"/>'
        )
    return _svg(body, width, height)


def number_plate(rng):
    body = '<rect width="200" height="44" rx="4" fill="#f5f5f0" stroke="black" stroke-width="2"/>'
    body += '<rect width="18" height="44" fill="#1846a3"/>' if rng.random() < 0.6 else ""
    chars = [_pick(rng, LETTERS if rng.random() < 0.5 else DIGITS) for _ in range(7)]
    return _svg(body + text("".join(chars), 26, 8, 165, 28, 0.15, "black"), 200, 44)


def advert(rng):
    """A made-up brand: bright shapes, perhaps a few letters; never a red ring around a number."""
    colours = ["#c1121c", "#154889", "#f6c500", "#00703c", "white", "black", "#e07020", "#7030a0"]
    first, second, third = (_pick(rng, colours) for _ in range(3))
    kind = rng.integers(4)
    if kind == 0:
        body = f'<rect width="100" height="100" fill="{first}"/>'
    elif kind == 1:
        body = f'<circle cx="50" cy="50" r="50" fill="{first}"/>'
    elif kind == 2:
        body = f'<rect y="20" width="100" height="60" rx="30" fill="{first}"/>'
    else:
        body = f'<ellipse cx="50" cy="50" rx="50" ry="32" fill="{first}"/>'
    if rng.random() < 0.6:
        points = " ".join(f"{rng.uniform(15, 85):.0f},{rng.uniform(20, 80):.0f}" for _ in range(5))
        body += f'<polygon points="{points}" fill="{second}"/>'
    if rng.random() < 0.6:
        word = "".join(_pick(rng, LETTERS) for _ in range(rng.integers(3, 7)))
        body += text(word, 18, 40, 64, 20, 0.15, third)
    return _svg(body)


def blank_board(rng):
    """The back of a sign or an empty plate: grey or one colour, nothing on it."""
    fill = _pick(rng, ("#8a8a86", "#a5a7a4", "#6d6f70", "#d8d8d4", "#154889", "#f6c500", "#c1121c"))
    shape = _pick(
        rng,
        (
            f'<rect width="100" height="100" rx="6" fill="{fill}"/>',
            f'<circle cx="50" cy="50" r="50" fill="{fill}"/>' if fill != "#c1121c" else "",
            f'<polygon points="0,92 50,4 100,92" fill="{fill}"/>' if fill[1] in "8a6" else "",
        ),
    )
    return _svg(shape or '<rect width="100" height="70" fill="#7d7d7a"/>')
