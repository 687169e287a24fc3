import numpy as np

from tsedge_training import mirror

KEYS = ["stop", "turn_left", "turn_right", "animals", "no_such_partner"]


def test_a_mirrored_arrow_is_the_other_class():
    assert mirror.partners(KEYS).tolist() == [-1, 2, 1, 3, -1]


def test_every_pair_and_symmetric_class_is_in_the_catalogue(prompts):
    assert set(mirror.OTHER) | mirror.SAME <= set(prompts.keys())


def test_pictures_and_labels_are_turned_together(rng):
    images = np.zeros((400, 4, 4, 3), np.uint8)
    images[:, :, 0] = 255
    labels = np.arange(400) % 5
    out, new = mirror.some(images, labels, mirror.partners(KEYS), np.ones(400, bool), rng)
    turned = out[:, 0, 0, 0] == 0
    assert 20 < turned.sum() < 160 and images[:, 0, 0, 0].all()
    assert not turned[(labels == 0) | (labels == 4)].any()
    assert (new[turned & (labels == 1)] == 2).all() and (new[turned & (labels == 3)] == 3).all()
    assert np.array_equal(new[~turned], labels[~turned])


def test_a_captioned_arrow_is_left_as_it_is(rng):
    images, labels = np.zeros((200, 2, 2, 3), np.uint8), np.ones(200, int)
    _, new = mirror.some(images, labels, mirror.partners(KEYS), np.zeros(200, bool), rng)
    assert (new == 1).all()
