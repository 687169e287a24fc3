"""Whose least probability is higher: classes of looks that no photo shows."""

import numpy as np

from tsedge_training import data, export
from tsedge_training.bank import DRAWING, PHOTO, Bank


def test_a_triangle_is_no_photo_of_a_diamond(prompts):
    german = data.REGIONS.index("DE")
    bank = Bank(
        images=np.zeros((2, 8, 8, 3), np.uint8),
        keys=np.array(["animals", "steep_hill"]),
        region=np.array([german, german]),
        source=np.array([PHOTO, DRAWING]),
        held_out=np.zeros(2, bool),
        caption=np.array(["", ""]),
    )
    seen = export.photographed_looks(prompts, bank)

    def shown(code, key):
        sign = next(c for c in prompts.regions[code].classes if c.key == key)
        return any((key, look) in seen for look in sign.sentences)

    assert shown("DE", "animals") and shown("AT", "animals")
    assert not shown("US", "animals") and not shown("DE", "steep_hill")
