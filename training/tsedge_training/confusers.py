"""Own drawings of signs that carry a number but set no speed limit, and signs made from words.

Each function takes a random generator and gives SVG; `word_sign` gives its prompt as well.
"""

from .glyphs import printed, text
from .own_signs import BLUES, DIGITS, FACES, LETTERS, REDS, _pick, _svg

NUMBERS = ("10", "20", "30", "40", "50", "60", "70", "80", "90", "95", "100", "120")


def _disc(rng, ink="black", paper="white"):
    edge = rng.uniform(9, 14)
    return (
        f'<circle cx="50" cy="50" r="50" fill="{_pick(rng, REDS)}"/>'
        f'<circle cx="50" cy="50" r="{50 - edge}" fill="{paper}"/>'
    )


def _paper(rng):
    return _pick(rng, ("white", "white", "#f4f4f0", "#f6c500"))


def _amount(rng):
    whole = int(rng.integers(1, 6))
    point = "." if rng.random() < 0.55 else ","
    return f"{whole}{point}{rng.integers(0, 10)}" if rng.random() < 0.8 else str(whole)


def _number(rng, value, x, y, width, height, ink="black"):
    """Digits in strokes or in print; in strokes the point is a dot between two parts."""
    if len(value) == 1:
        x, width = x + width * 0.25, width / 2
    if rng.random() < 0.5:
        return printed(value, x, y, width, height, ink, _pick(rng, FACES))
    weight = rng.uniform(0.12, 0.2)
    if value.isdigit():
        return text(value, x, y, width, height, weight, ink)
    left, right = value[0], value[2:]
    part, middle, low = width * 0.4, x + width / 2, y + height
    dot = f'<circle cx="{middle}" cy="{low}" r="{height * 0.08}" fill="{ink}"/>'
    if value[1] == ",":
        dot += (
            f'<path d="M{middle},{low} L{middle - height * 0.05},{low + height * 0.17}" '
            f'stroke="{ink}" stroke-width="{height * 0.1}"/>'
        )
    return (
        text(left, x, y, part, height, weight, ink)
        + dot
        + text(right, x + width - part, y, part, height, weight, ink)
    )


def _with_unit(rng, value, unit, room):
    """The number and a smaller unit, on its line or below it, as wide as `room` together."""
    height = rng.uniform(22, 36)
    unit = unit.upper() if rng.random() < 0.25 else unit
    if rng.random() < 0.3:
        small, gap = height * rng.uniform(0.3, 0.55), rng.uniform(2, 5)
        top, wide = 50 - (height + gap + small) / 2, rng.uniform(8, 16)
        below = printed(unit, 50 - wide / 2, top + height + gap, wide, small, "black", "bold")
        return _number(rng, value, 50 - room / 2, top, room, height) + below
    share = rng.uniform(0.1, 0.26)  # of the room, for the unit
    wide = room * (1 - share - 0.05)
    x, y = 50 - room / 2, 50 - height / 2
    small = height * rng.uniform(0.3, 0.8)
    body = _number(rng, value, x, y, wide, height)
    left, top = x + room * (1 - share), y + height - small
    return body + printed(unit, left, top, room * share, small, "black", _pick(rng, FACES))


def _wedges(rng):
    """Two wedges above and below, small or up to the ring."""
    reach = rng.uniform(18, 30)
    half = rng.uniform(6, 34)
    top = 50 - rng.uniform(12, 18) if rng.random() < 0.5 else 12 + reach * 0.6
    return (
        f'<path d="M{50 - half},{13 + half / 8} Q50,8 {50 + half},{13 + half / 8} L50,{top} Z '
        f'M{50 - half},{87 - half / 8} Q50,92 {50 + half},{87 - half / 8} L50,{100 - top} Z" '
        'fill="black"/>'
    )


def height_limit(rng):
    body = _disc(rng, paper=_paper(rng)) + _wedges(rng)
    if rng.random() < 0.3:
        wide, high = rng.uniform(36, 56), rng.uniform(24, 36)
        return _svg(body + _number(rng, _amount(rng), 50 - wide / 2, 50 - high / 2, wide, high))
    return _svg(body + _with_unit(rng, _amount(rng), "m", rng.uniform(44, 66)))


def width_limit(rng):
    turned = f'<g transform="rotate(90 50 50)">{_wedges(rng)}</g>'
    body = _disc(rng, paper=_paper(rng)) + turned
    if rng.random() < 0.5:
        return _svg(body + _number(rng, _amount(rng), 32, 38, 36, 26))
    return _svg(body + _with_unit(rng, _amount(rng), "m", rng.uniform(40, 50)))


def weight_limit(rng):
    value = str(rng.integers(2, 61)) if rng.random() < 0.6 else _amount(rng)
    return _svg(_disc(rng, paper=_paper(rng)) + _with_unit(rng, value, "t", rng.uniform(54, 70)))


def end_of_limit(rng):
    """A number on white without red, crossed out: the end of a speed limit.

    Some countries cross a grey number out, some set a bold black one over thin stripes.
    """
    bold = rng.random() < 0.6
    ink = _pick(
        rng, ("black", "#111", "#222", "#444") if bold else ("#888", "#777", "#999", "#444")
    )
    edge = rng.uniform(3, 11) if bold else 2
    body = (
        f'<circle cx="50" cy="50" r="50" fill="{"white" if rng.random() < 0.5 else ink}"/>'
        f'<circle cx="50" cy="50" r="{49 - edge / 2}" fill="{_paper(rng)}" stroke="{ink}" '
        f'stroke-width="{edge}"/>'
    )
    value = _pick(rng, NUMBERS)
    wide, high = (50 if len(value) == 2 else 64) * rng.uniform(0.85, 1.1), rng.uniform(32, 46)
    number = _number(rng, value, 50 - wide / 2, 50 - high / 2, wide, high, ink)
    stripes = (-8, -4, 0, 4, 8) if rng.random() < 0.7 else (0,)
    thick = rng.uniform(1.2, 3) if len(stripes) > 1 else rng.uniform(5, 11)
    spread = rng.uniform(0.7, 1.3)
    lines = "".join(
        f'<path d="M{18 + shift * spread},{80 + shift * spread} L{80 + shift * spread},'
        f'{18 + shift * spread}" stroke="#222" stroke-width="{thick}"/>'
        for shift in stripes
    )
    return _svg(body + (lines + number if bold and rng.random() < 0.7 else number + lines))


def route_shield(rng):
    """A road's number in a shield or box."""
    value = "".join(_pick(rng, DIGITS) for _ in range(rng.integers(1, 4)))
    if rng.random() < 0.4:
        value = _pick(rng, NUMBERS)
    wide = 26 * len(value)
    kind = rng.integers(4)
    if kind == 0:  # white shield on black, or black outlined
        body = '<rect width="100" height="100" rx="6" fill="#111"/>'
        body += '<path d="M50,4 L88,12 C98,40 96,74 50,97 C4,74 2,40 12,12 Z" fill="white"/>'
        ink = "black"
    elif kind == 1:  # interstate
        body = f'<path d="M50,2 L90,10 C100,40 96,76 50,98 C4,76 0,40 10,10 Z" fill="{BLUES[1]}"/>'
        body += f'<path d="M8,24 H92 L90,10 L50,2 L10,10 Z" fill="{_pick(rng, REDS)}"/>'
        ink = "white"
    elif kind == 2:  # coloured box
        fill, ink = _pick(rng, (("#f6c500", "black"), (BLUES[0], "white"), ("#00703c", "white"),
                                ("#c1121c", "white"), ("white", "black")))  # fmt: skip
        body = f'<rect y="15" width="100" height="70" rx="8" fill="{fill}" stroke="{ink}"/>'
    else:  # circle or ellipse without red
        body = '<rect width="100" height="100" fill="#111"/>'
        body += '<ellipse cx="50" cy="50" rx="46" ry="42" fill="white"/>'
        ink = "black"
    return _svg(body + text(value, 50 - wide / 2, 33, wide, 38, rng.uniform(0.12, 0.2), ink))


def number_board(rng):
    """Distances, advisory and minimum speeds, times: a number that is no maximum speed."""
    value = _pick(rng, NUMBERS)
    kind = rng.integers(5)
    wide = 24 * len(value)
    if kind == 0:  # minimum speed: white on a blue disc
        body = f'<circle cx="50" cy="50" r="50" fill="{_pick(rng, BLUES)}"/>'
        return _svg(body + text(value, 50 - wide / 2, 32, wide, 36, 0.16, "white"))
    if kind == 1:  # advisory speed on yellow
        body = '<rect width="100" height="100" rx="8" fill="#f6c500" stroke="black"/>'
        body += text(value, 50 - wide / 2, 20, wide, 36, 0.16, "black")
        return _svg(body + text(_pick(rng, ("MPH", "KMH")), 26, 70, 48, 16, 0.14, "black"))
    if kind == 2:  # advisory speed on a blue square
        body = f'<rect width="100" height="100" rx="8" fill="{_pick(rng, BLUES)}"/>'
        return _svg(body + text(value, 50 - wide / 2, 32, wide, 36, 0.16, "white"))
    if kind == 3:  # distance plate
        body = '<rect width="150" height="60" rx="4" fill="white" stroke="black" stroke-width="3"/>'
        body += text(value + "0", 16, 14, 80, 32, 0.14, "black")
        return _svg(body + text("M", 110, 22, 24, 24, 0.14, "black"), 150, 60)
    body = '<rect width="100" height="130" fill="#111"/>'  # lit figures that are no limit
    ink = _pick(rng, ("#ffd27f", "#6f6", "white"))
    return _svg(body + text(value, 50 - wide / 2, 40, wide, 40, 0.12, ink), 100, 130)


COLOURS = {
    "red": "#c1121c", "blue": "#154889", "yellow": "#f6c500", "green": "#00703c",
    "white": "white", "black": "#111", "orange": "#e87010", "brown": "#6b3f1d",
}  # fmt: skip
SHAPES = {
    "circle": '<circle cx="50" cy="50" r="{r}" fill="{fill}"/>',
    "square": '<rect x="{a}" y="{a}" width="{s}" height="{s}" rx="5" fill="{fill}"/>',
    "diamond": '<path d="M50,{a} L{b},50 L50,{b} L{a},50 Z" fill="{fill}"/>',
    "triangle": '<path d="M50,{t} L{u},{v} L{w},{v} Z" fill="{fill}"/>',
    "triangle pointing down": '<path d="M50,{y} L{u},{z} L{w},{z} Z" fill="{fill}"/>',
    "octagon": '<path d="M{c},{a} H{d} L{b},{c} V{d} L{d},{b} H{c} L{a},{d} V{c} Z" fill="{fill}"/>',  # noqa: E501
}
ARROWS = {
    "arrow pointing up": 0, "arrow pointing to the right": 90, "arrow pointing down": 180,
    "arrow pointing to the left": 270, "diagonal arrow pointing down to the right": 135,
    "diagonal arrow pointing down to the left": 225, "diagonal arrow pointing up to the left": 315,
    "diagonal arrow pointing up to the right": 45,
}  # fmt: skip


def _shape(name, inset, fill):
    r = 50 - inset
    cut = 0.29 * 2 * r
    return SHAPES[name].format(
        r=r, a=inset, b=100 - inset, s=2 * r, c=inset + cut, d=100 - inset - cut, fill=fill,
        t=4 + 1.7 * inset, u=97 - 1.5 * inset, v=92 - inset, w=3 + 1.5 * inset,
        y=96 - 1.7 * inset, z=8 + inset,
    )  # fmt: skip


def _symbol(rng, ink, low):
    """(SVG, words) of what stands in the middle; `low` shifts it down in a triangle."""
    kind = rng.integers(7)
    y = 50 + low
    if kind <= 1:
        words = list(ARROWS)[rng.integers(len(ARROWS))]
        turn = ARROWS[words]
        body = (
            f'<path transform="translate(50 {y}) rotate({turn}) scale(.75)" fill="{ink}" '
            'd="M0,-36 L22,-8 H8 V34 H-8 V-8 H-22 Z"/>'
        )
        return body, f"{{ink}} {words}"
    if kind == 2:
        value = "".join(_pick(rng, DIGITS) for _ in range(rng.integers(1, 4))).lstrip("0") or "7"
        wide = 17 * len(value)
        return text(value, 50 - wide / 2, y - 15, wide, 30, 0.16, ink), f"{{ink}} number {value}"
    if kind == 3:
        word = "".join(_pick(rng, LETTERS) for _ in range(rng.integers(1, 5)))
        wide = 16 * len(word)
        many = "word" if len(word) > 1 else "letter"
        return text(word, 50 - wide / 2, y - 12, wide, 24, 0.15, ink), f"{{ink}} {many} {word}"
    if kind == 4:
        return f'<rect x="22" y="{y - 8}" width="56" height="16" fill="{ink}"/>', "{ink} bar"
    if kind == 5:
        body = f'<path d="M46,{y - 24} H54 L52,{y + 8} H48 Z" fill="{ink}"/>'
        body += f'<circle cx="50" cy="{y + 18}" r="5" fill="{ink}"/>'
        return body, "{ink} exclamation mark"
    return "", "nothing inside"


def word_sign(rng):
    """A sign of random shape, border, ground and symbol, and the prompt that says so."""
    shape = list(SHAPES)[rng.integers(len(SHAPES))]
    ground, border, ink = rng.choice(list(COLOURS), 3)
    while ink == ground:
        ink = rng.choice(list(COLOURS))
    body, words = _shape(shape, 0, COLOURS[border]), f"a {ground} {shape}"
    if border != ground:
        body += _shape(shape, rng.uniform(5, 13), COLOURS[ground])
        words += f" with a {border} border"
    low = {"triangle": 12, "triangle pointing down": -12}.get(shape, 0)
    drawn, symbol = _symbol(rng, COLOURS[ink], low)
    words += (" and " if border != ground else " with ") + (
        f"a {symbol.format(ink=ink)}" if drawn else symbol
    )
    if drawn and rng.random() < 0.25:
        bar = _pick(rng, ("red", "black"))
        drawn += f'<path d="M22,22 L78,78" stroke="{COLOURS[bar]}" stroke-width="8"/>'
        words += f", crossed out by a {bar} line"
    return _svg(body + drawn), words
