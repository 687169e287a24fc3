"""Own drawings of signs whose picture differs much between countries: figures, vehicles, arrows.

Official drawings show a few countries' looks of each; here what makes the sign stays and all else
varies. Each function takes a random generator and gives SVG.
"""

import numpy as np

from .glyphs import printed, text
from .own_signs import BLUES, LETTERS, REDS, _pick, _svg

STOP_WORDS = ("STOP", "STOP", "ALTO", "PARE", "DUR", "ARRET")
YELLOWS = ("#f6c500", "#f8c814", "#f2b600")


def _line(points, width, ink):
    path = " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<path d="M{path}" fill="none" stroke="{ink}" stroke-width="{width:.1f}" '
        'stroke-linecap="round" stroke-linejoin="round"/>'
    )


def _polygon(points, fill, more=""):
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polygon points="{text}" fill="{fill}"{more}/>'


def _character(rng, x, y, size, ink):
    """Strokes across and down, as a character of eastern Asia has them."""
    weight = size * rng.uniform(0.07, 0.11)
    body = ""
    for _ in range(rng.integers(2, 5)):
        at, (a, b) = y + rng.uniform(0, size), x + size * np.sort(rng.uniform(0, 1, 2))
        body += _line([(min(a, x + 0.3 * size), at), (max(b, x + 0.7 * size), at)], weight, ink)
    for _ in range(rng.integers(2, 5)):
        at, (a, b) = x + rng.uniform(0, size), y + size * np.sort(rng.uniform(0, 1, 2))
        lean = size * rng.uniform(-0.3, 0.3)
        body += _line([(at, a), (at + lean, max(b, a + 0.3 * size))], weight, ink)
    return body


def _word(rng, words, x, y, width, height, ink):
    """One of the words, another in the place of it, or one or two characters."""
    draw = rng.random()
    if draw < 0.25:
        size = min(height * 1.3, width / 2.2)
        count = 1 if rng.random() < 0.6 else 2
        left = x + width / 2 - size * (0.5 if count == 1 else 1.08)
        top = y + height / 2 - size / 2
        return "".join(
            _character(rng, left + i * 1.16 * size, top, size, ink) for i in range(count)
        )
    word = _pick(rng, words)
    if draw < 0.35:
        word = "".join(_pick(rng, LETTERS) for _ in range(rng.integers(3, 7)))
    if rng.random() < 0.5 or not set(word) <= set(LETTERS):
        return printed(word, x, y, width, height, ink)
    return text(word, x, y, width, height, rng.uniform(0.13, 0.2), ink)


def _octagon(inset, fill):
    low, high = inset, 100 - inset
    near, far = low + 0.293 * (high - low), high - 0.293 * (high - low)
    upper = [(low, far), (low, near), (near, low), (far, low), (high, near), (high, far)]
    return _polygon([*upper, (far, high), (near, high)], fill)


def stop(rng):
    red = _pick(rng, REDS)
    body = _octagon(0, "white") + _octagon(rng.uniform(2, 5), red)
    high = rng.uniform(24, 36)
    return _svg(body + _word(rng, STOP_WORDS, 14, 50 - high / 2, 72, high, "white"))


def give_way(rng):
    paper = _pick(rng, YELLOWS) if rng.random() < 0.25 else "white"
    edge = rng.uniform(9, 17)
    body = _polygon([(0, 0), (100, 0), (50, 88)], _pick(rng, REDS))
    far = 1.7 * edge
    body += _polygon([(far, edge), (100 - far, edge), (50, 88 - 2 * edge)], paper)
    if rng.random() < 0.65:
        high = rng.uniform(11, 17)
        words = ("YIELD", "CEDA", "GIVEWAY", "YOL VER")
        body += _word(rng, words, 29, edge + rng.uniform(4, 9), 42, high, "#111")
    return _svg(body, 100, 88)


def _arrow(rng, thick, ink):
    """Along the x axis, 76 long, its middle at the origin."""
    head, neck = thick * rng.uniform(1.3, 2.2), rng.uniform(4, 16)
    swept = rng.uniform(-4, 8)  # how far the head's ends reach back
    return (
        f'<path fill="{ink}" d="M-38,{-thick / 2} H{neck} L{neck - swept},{-head} L38,0 '
        f'L{neck - swept},{head} L{neck},{thick / 2} H-38 Z"/>'
    )


def keep(rng, right):
    """Pass on this side: an arrow that points down at any slope a country gives it."""
    fill = _pick(rng, BLUES)
    rim = rng.uniform(0, 5)
    body = '<circle cx="50" cy="50" r="50" fill="white"/>' if rim > 1.5 else ""
    body += f'<circle cx="50" cy="50" r="{50 - (rim if rim > 1.5 else 0)}" fill="{fill}"/>'
    slope = rng.uniform(22, 62)
    turn = slope if right else 180 - slope
    arrow = _arrow(rng, rng.uniform(10, 20), "white")
    return _svg(body + f'<g transform="translate(50 50) rotate({turn})">{arrow}</g>')


def _forbidden(rng, symbol, crossed):
    paper = _pick(rng, ("white", "white", "white", YELLOWS[0]))
    edge, red = rng.uniform(8, 13), _pick(rng, REDS)
    body = '<circle cx="50" cy="50" r="50" fill="white"/>' if rng.random() < 0.4 else ""
    outer = 48 if body else 50
    body += f'<circle cx="50" cy="50" r="{outer}" fill="{red}"/>'
    body += f'<circle cx="50" cy="50" r="{outer - edge}" fill="{paper}"/>'
    bar = _line([(19, 19), (81, 81)], rng.uniform(6, 10), red) if crossed else ""
    return _svg(body + (symbol + bar if rng.random() < 0.7 else bar + symbol))


def no_overtaking(rng):
    """An arrow that swings round another, as in eastern Asia; elsewhere two cars are shown."""
    ink, wide, tip = "#111", rng.uniform(5, 8), rng.uniform(7, 11)
    x, foot, top = rng.uniform(58, 66), rng.uniform(70, 78), rng.uniform(34, 42)
    body = _line([(x, foot), (x, top)], wide, ink)
    body += _polygon([(x - tip, top + 3), (x, top - tip), (x + tip, top + 3)], ink)
    side, bend, end = rng.uniform(27, 36), rng.uniform(48, 56), x - rng.uniform(8, 18)
    high = top - rng.uniform(2, 9)
    way = [(end + rng.uniform(-4, 6), foot), (side, bend + 5), (side, bend - 5), (end, high)]
    body += _line(way, wide, ink)
    turn = np.degrees(np.arctan2(high - way[2][1], end - side))
    body += (
        f'<path transform="translate({end} {high}) rotate({turn})" fill="{ink}" '
        f'd="M-3,{-tip} L{tip},0 L-3,{tip} Z"/>'
    )
    return _forbidden(rng, body, rng.random() < 0.6)


def _wheels(rng, at, y, ink, paper):
    radius = rng.uniform(5, 7)
    return "".join(
        f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{ink}" stroke="{paper}" stroke-width="1.5"/>'
        for x in at
    )


def _turned(rng, body):
    """To the left as to the right."""
    return f'<g transform="translate(100 0) scale(-1 1)">{body}</g>' if rng.random() < 0.5 else body


def _truck(rng, ink, paper):
    """Cab with its window before a body that is shut, open or covered."""
    top, floor = rng.uniform(30, 38), rng.uniform(60, 65)
    cab, roof = rng.uniform(63, 69), top + rng.uniform(0, 9)
    nose = 83
    body = (
        f'<path d="M{cab + 1},{floor} V{roof} H{nose - rng.uniform(2, 9)} L{nose},{roof + 14} '
        f'V{floor} Z" fill="{ink}"/>'
    )
    body += f'<rect x="{cab + 4}" y="{roof + 4}" width="9" height="8" fill="{paper}"/>'
    draw = rng.random()
    load = f'<rect x="17" y="{top}" width="{cab - 18}" height="{floor - top}"'
    if draw < 0.5:
        body += f'{load} fill="{ink}"/>'
    elif draw < 0.75:  # an outline with ribs
        body += f'{load} fill="none" stroke="{ink}" stroke-width="3"/>'
        for x in np.linspace(27, cab - 10, rng.integers(1, 4)):
            body += _line([(x, top), (x, floor)], 2.5, ink)
    else:  # a low, open body
        low = floor - rng.uniform(11, 16)
        body += f'<rect x="17" y="{low}" width="{cab - 18}" height="{floor - low}" fill="{ink}"/>'
    body += f'<rect x="17" y="{floor - 2}" width="64" height="4" fill="{ink}"/>'
    return _turned(rng, body + _wheels(rng, (28, 72), floor + 4, ink, paper))


def _bus(rng, ink, paper):
    """One long body under a row of windows."""
    top, floor = rng.uniform(30, 36), rng.uniform(60, 66)
    body = f'<rect x="15" y="{top}" width="70" height="{floor - top}" rx="4" fill="{ink}"/>'
    count = int(rng.integers(4, 7))
    step = 64 / count
    tall = (floor - top) * rng.uniform(0.3, 0.45)
    for i in range(count):
        left, right, low = 18 + i * step, 15 + (i + 1) * step, top + 4 + tall
        body += _polygon([(left, top + 4), (right, top + 4), (right, low), (left, low)], paper)
    return _turned(rng, body + _wheels(rng, (30, 70), floor + 1, ink, paper))


def no_trucks(rng):
    return _forbidden(rng, _truck(rng, "#111", "white"), rng.random() < 0.4)


def no_buses(rng):
    return _forbidden(rng, _bus(rng, "#111", "white"), rng.random() < 0.4)


def _figure(rng, x, foot, tall, stride, ink):
    """Someone who walks or runs to the right, drawn in thick lines."""
    wide = tall * rng.uniform(0.1, 0.15)
    lean = tall * rng.uniform(0.02, 0.12) * stride
    hip, neck = (x, foot - 0.45 * tall), (x + lean, foot - 0.78 * tall)
    step, bend = 0.24 * tall * stride, 0.06 * tall
    front = (x + step * 0.55 + bend, foot - 0.22 * tall)
    back = (x - step * 0.3, foot - 0.22 * tall)
    body = _line([hip, front, (x + step, foot)], wide, ink)
    body += _line([hip, back, (x - step, foot - 0.05 * tall * stride)], wide, ink)
    body += _line([hip, neck], wide * 1.6, ink)
    hand = 0.2 * tall * stride
    for side in (-1, 1):
        elbow = (neck[0] + side * hand * 0.6, neck[1] + 0.18 * tall)
        body += _line(
            [neck, elbow, (neck[0] + side * hand * 1.2, neck[1] + 0.26 * tall)], wide * 0.8, ink
        )
    x, y = neck[0] + 0.03 * tall, neck[1] - 0.12 * tall
    return body + f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{0.1 * tall:.1f}" fill="{ink}"/>'


def _warning(rng, symbol):
    """A triangle on white or yellow, bordered red or black, or a yellow diamond."""
    draw = rng.random()
    if draw < 0.2:
        body = f'<path d="M50,0 L100,50 L50,100 L0,50 Z" fill="{_pick(rng, YELLOWS)}"/>'
        body += '<path d="M50,5 L95,50 L50,95 L5,50 Z" fill="none" stroke="#111" stroke-width="2"/>'
        return _svg(f'{body}<g transform="translate(8 0) scale(.84)">{symbol}</g>')
    dark = draw < 0.55
    ground = _pick(rng, YELLOWS) if dark or rng.random() < 0.2 else "white"
    border = "#111" if dark else _pick(rng, REDS)
    edge = rng.uniform(3, 6) if dark else rng.uniform(6, 9)
    rim = ground if dark and rng.random() < 0.6 else border
    round_corners = f' stroke="{rim}" stroke-width="4" stroke-linejoin="round"'
    body = _polygon([(50, 3), (100, 93), (0, 93)], rim, round_corners)
    body += _polygon([(50, 7), (96, 91), (4, 91)], border)
    near, low = 4 + 1.75 * edge, 91 - edge
    body += _polygon([(50, 7 + 2 * edge), (100 - near, low), (near, low)], ground)
    return _svg(body + symbol)


def _stripes(rng, low, high, ink):
    """The stripes of a crossing, seen along the road."""
    count = int(rng.integers(3, 6))
    out = ""
    for i in range(count):
        share = (i + 0.5) / count - 0.5
        top, foot = 50 + 44 * share, 50 + 60 * share
        out += _line([(top, high), (foot, low)], 44 / count * rng.uniform(0.35, 0.55), ink)
    return out.replace("round", "butt")


def pedestrian_crossing(rng):
    """One figure, mostly on the stripes of a crossing."""
    tall = rng.uniform(38, 46)
    striped = rng.random() < 0.8
    foot = rng.uniform(72, 76) if striped else 80
    body = _figure(rng, rng.uniform(46, 52), foot, tall, rng.uniform(0.8, 1.2), "#111")
    if striped:
        body = _stripes(rng, 84, foot - rng.uniform(0, 6), "#111") + body
    body = _turned(rng, body)
    if rng.random() < 0.3:  # the sign at the crossing itself
        fill = _pick(rng, BLUES)
        ground = "white" if rng.random() < 0.8 else YELLOWS[0]
        plate = f'<rect width="100" height="100" rx="4" fill="{fill}"/>'
        plate += f'<polygon points="50,10 94,88 6,88" fill="{ground}"/>'
        return _svg(f'{plate}<g transform="translate(9 9) scale(.82)">{body}</g>')
    return _warning(rng, body)


def children(rng):
    """Two figures that run, one smaller than the other."""
    tall = rng.uniform(36, 44)
    small = tall * rng.uniform(0.72, 0.95)
    apart = rng.uniform(15, 22)
    foot = rng.uniform(78, 82)
    body = _figure(rng, 50 - apart / 2, foot, tall, rng.uniform(1.1, 1.6), "#111")
    body += _figure(rng, 50 + apart * 0.65, foot, small, rng.uniform(1.1, 1.6), "#111")
    return _warning(rng, _turned(rng, body))
