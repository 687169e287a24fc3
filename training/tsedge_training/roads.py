"""Own drawings of signs that say what road begins or ends: towns, motorways, motor roads.

Town boards of the world differ in ground, border and script; the names are made up.
"""

from .glyphs import printed, text
from .own_signs import FACES, LETTERS, REDS, _pick, _svg

# Ground, border, ink. Several countries share a row.
BOARDS = (
    ("#f6c500", "#111", "#111"), ("#f6c500", "#111", "#111"), ("white", "#c1121c", "#111"),
    ("white", "#111", "#111"), ("white", "#111", "#111"), ("white", "#154889", "#111"),
    ("#0b4ea2", "white", "white"), ("white", "#154889", "#154889"),
)  # fmt: skip
SYLLABLES = (
    "ba", "ber", "bel", "bour", "bru", "ca", "cham", "dor", "dorf", "en", "feld", "ga", "gen",
    "hal", "heim", "ic", "ing", "ka", "ko", "la", "ley", "lin", "lo", "mar", "mon", "na", "ne",
    "o", "ra", "ri", "ro", "sal", "sen", "stad", "te", "ti", "to", "va", "vil", "wa", "za", "zo",
)  # fmt: skip
CYRILLIC = (
    "бо",
    "ва",
    "гра",
    "до",
    "ка",
    "ки",
    "ло",
    "ма",
    "но",
    "ра",
    "ро",
    "ск",
    "то",
    "хо",
    "я",
)
GREEK = ("α", "βο", "γα", "δρα", "κα", "λο", "μα", "νη", "πο", "ρα", "σο", "της", "φα")
BLUES = ("#154889", "#0b4ea2", "#0b5fb4", "#1d4ed8")
GREENS = ("#00703c", "#0a7d45", "#00613a", "#128a4d")


def town_sign(rng):
    ground, border, ink = _pick(rng, BOARDS)
    width, height = 100 * rng.uniform(1.1, 2.6), 60 * rng.uniform(0.75, 1.2)
    edge = rng.uniform(2, 5)
    body = (
        f'<rect width="{width}" height="{height}" rx="{rng.uniform(0, 7)}" '
        f'fill="{_pick(rng, (border, ground))}"/>'
        f'<rect x="{edge}" y="{edge}" width="{width - 2 * edge}" height="{height - 2 * edge}" '
        f'rx="{rng.uniform(0, 5)}" fill="{ground}" stroke="{border}" stroke-width="{edge}"/>'
    )
    if rng.random() < 0.22:
        return _svg(body + _skyline(rng, width, height, edge, ink), width, height)
    wide = width * rng.uniform(0.55, 0.84)
    high = height * rng.uniform(0.26, 0.5)
    top = (height - high) / 2
    small = rng.random()
    if small < 0.25:  # a district or a second tongue below the name
        top = height * rng.uniform(0.16, 0.24)
        less = wide * rng.uniform(0.4, 0.9)
        below = top + high + height * 0.1
        body += printed(name(rng), (width - less) / 2, below, less, height * 0.14, ink, "normal")
    elif small < 0.33:  # the road's number above
        top = height * 0.42
        body += printed(f"{_pick(rng, 'DNEB')}{rng.integers(1, 999)}", width * 0.4, height * 0.12,
                        width * 0.2, height * 0.16, ink)  # fmt: skip
    return _svg(body + _name(rng, (width - wide) / 2, top, wide, high, ink), width, height)


def end_of_town(rng):
    """The board crossed out, or the next place above the crossed-out name."""
    if rng.random() < 0.6:
        return ended(town_sign(rng), rng)
    ground, border, ink = _pick(rng, BOARDS)
    width, height, edge = 100 * rng.uniform(1.2, 1.8), 60 * rng.uniform(0.9, 1.3), 2.5
    body = (
        f'<rect width="{width}" height="{height}" rx="4" fill="{ground}"/>'
        f'<rect x="{edge}" y="{edge}" width="{width - 2 * edge}" height="{height - 2 * edge}" '
        f'rx="3" fill="none" stroke="{border}" stroke-width="{edge}"/>'
    )
    next_place = f"{name(rng)} {rng.integers(1, 40)} km"
    less = width * rng.uniform(0.45, 0.8)
    high = height * rng.uniform(0.14, 0.24)
    body += printed(next_place, (width - less) / 2, height * 0.14, less, high, ink, "normal")
    if rng.random() < 0.5:
        body += (
            f'<path d="M{edge},{height * 0.47} H{width - edge}" stroke="{ink}" stroke-width="2"/>'
        )
    wide, tall = width * rng.uniform(0.5, 0.8), height * rng.uniform(0.2, 0.3)
    body += _name(rng, (width - wide) / 2, height * 0.58, wide, tall, ink)
    body += (
        f'<path d="M{width * 0.08},{height * 0.9} L{width * 0.92},{height * 0.52}" '
        f'stroke="{_pick(rng, REDS)}" stroke-width="{height * rng.uniform(0.05, 0.1)}"/>'
    )
    return _svg(body, width, height)


def motorway(rng):
    """Two lanes under a bridge, on blue or green."""
    width, height, ground, body = _panel(rng)
    middle, low, high = width / 2, height * rng.uniform(0.84, 0.94), height * rng.uniform(0.1, 0.18)
    bridge = height * rng.uniform(0.36, 0.46)
    thick = height * rng.uniform(0.07, 0.12)
    far, near, gap = width * 0.08, width * rng.uniform(0.28, 0.36), width * rng.uniform(0.02, 0.05)
    for side in (-1, 1):
        inner, outer = middle + side * gap, middle + side * far
        foot, toe = middle + side * (gap * 2.2), middle + side * near
        body += f'<path d="M{inner},{high} H{outer} L{toe},{low} H{foot} Z" fill="white"/>'
    reach = width * rng.uniform(0.36, 0.44)
    body += (
        f'<path d="M{middle - reach},{bridge + thick} V{bridge} H{middle + reach} '
        f'V{bridge + thick}" '
        f'fill="none" stroke="{ground}" stroke-width="{thick * 2.2}"/>'
        f'<path d="M{middle - reach},{bridge + thick * 1.8} V{bridge} H{middle + reach} '
        f'V{bridge + thick * 1.8}" fill="none" stroke="white" stroke-width="{thick}"/>'
    )
    return _svg(body, width, height)


def expressway(rng):
    """A car seen from the front, on blue or green."""
    width, height, ground, body = _panel(rng)
    unit = min(width, height) / 100 * rng.uniform(0.8, 1.05)
    roof = rng.uniform(16, 24)
    return _svg(
        f'{body}<g transform="translate({width / 2} {height / 2}) scale({unit})">'
        f'<path d="M-{roof},-26 H{roof} L32,-2 Q36,0 36,6 V20 H-36 V6 Q-36,0 -32,-2 Z" '
        'fill="white"/>'
        f'<path d="M-{roof - 4},-20 H{roof - 4} L24,-4 H-24 Z" fill="{ground}"/>'
        f'<circle cx="-25" cy="8" r="5" fill="{ground}"/>'
        f'<circle cx="25" cy="8" r="5" fill="{ground}"/>'
        '<path d="M-34,18 H-20 V30 H-34 Z M20,18 H34 V30 H20 Z" fill="white"/></g>',
        width, height,
    )  # fmt: skip


def ended(svg, rng):
    """The same sign with the red bar that says it ends here."""
    width, height = (
        float(part.split('"')[0]) for part in svg.split('viewBox="0 0 ')[1].split(" ")[:2]
    )
    edge = rng.uniform(0.0, 0.12)
    bar = (
        f'<path d="M{width * edge},{height * (1 - edge)} L{width * (1 - edge)},{height * edge}" '
        f'stroke="{_pick(rng, REDS)}" '
        f'stroke-width="{min(width, height) * rng.uniform(0.06, 0.15)}"/>'
    )
    return svg.replace("</svg>", f"{bar}</svg>")


def name(rng):
    letters = (SYLLABLES,) * 6 + (CYRILLIC, GREEK)
    part = letters[rng.integers(len(letters))]
    word = "".join(_pick(rng, part) for _ in range(rng.integers(2, 5))).capitalize()
    if rng.random() < 0.15:
        word += _pick(rng, (" ", "-")) + "".join(_pick(rng, part) for _ in range(2)).capitalize()
    return word.upper() if rng.random() < 0.35 else word


def _name(rng, x, y, width, height, ink):
    if rng.random() < 0.2:
        word = "".join(_pick(rng, LETTERS) for _ in range(rng.integers(4, 9)))
        return text(word, x, y, width, height, rng.uniform(0.12, 0.2), ink)
    return printed(name(rng), x, y, width, height, ink, _pick(rng, FACES))


def _skyline(rng, width, height, edge, ink):
    """Houses and a church spire as one dark outline."""
    floor = height - 2 * edge
    x, points = edge * 2, [f"{edge * 2},{floor}"]
    spire = rng.uniform(0.2, 0.7) * width
    while x < width - 3 * edge:
        step = width * rng.uniform(0.05, 0.13)
        right = min(x + step, width - 2 * edge)
        if x <= spire < right:
            points += [
                f"{x},{floor * 0.6}",
                f"{(x + right) / 2},{height * 0.14}",
                f"{right},{floor * 0.6}",
            ]
        else:
            eaves = floor * rng.uniform(0.5, 0.75)
            points.append(f"{x},{eaves}")
            if rng.random() < 0.6:
                points.append(f"{(x + right) / 2},{eaves - height * rng.uniform(0.05, 0.15)}")
            points.append(f"{right},{eaves}")
        x = right
    points.append(f"{x},{floor}")
    return f'<polygon points="{" ".join(points)}" fill="{ink}"/>'


def _panel(rng):
    width, height = 100.0, 100 * rng.uniform(1.0, 1.5)
    ground = _pick(rng, BLUES if rng.random() < 0.5 else GREENS)
    body = f'<rect width="{width}" height="{height}" rx="7" fill="{ground}"/>'
    if rng.random() < 0.5:
        body += (
            f'<rect x="3" y="3" width="94" height="{height - 6}" rx="5" fill="none" stroke="white" '
            'stroke-width="2.5"/>'
        )
    return width, height, ground, body
