import json
import unittest

from followed import (
    Event,
    Moment,
    Truth,
    follow,
    most_per_hour,
    overlap,
    read_events,
    read_truth,
    sign_under,
    signs_of,
)


def box_at(left: float, side: float = 20.0) -> tuple[float, float, float, float]:
    return (left, 100.0, left + side, 100.0 + side)


def truth(*signs: tuple[str, float]) -> Truth:
    """Signs visible from frame 10 to 29 at 10 frames/s and 20 m/s, each with its left edge."""
    return read_truth(
        {
            "rate_hz": 10,
            "way_m": [2.0 * frame for frame in range(40)],
            "signs": [
                {
                    "id": number,
                    "class": key,
                    "at_m": 70.0,
                    "first_frame": 10,
                    "boxes": [[frame, list(box_at(left))] for frame in range(10, 30)],
                }
                for number, (key, left) in enumerate(signs)
            ],
        }
    )


def told(kind: str, frame: int, track: int, left: float, key: str | None = None) -> Event:
    return Event(kind, frame / 10, frame, track, key, box_at(left), 1.2)


class Matching(unittest.TestCase):
    def test_overlap_is_intersection_over_union(self):
        self.assertEqual(overlap(box_at(0), box_at(0)), 1.0)
        self.assertAlmostEqual(overlap(box_at(0), box_at(10)), 1 / 3)
        self.assertEqual(overlap(box_at(0), box_at(20)), 0.0)
        self.assertEqual(overlap(box_at(0, 0.0), box_at(0, 0.0)), 0.0)

    def test_a_box_lies_on_the_sign_it_covers_best(self):
        two = truth(("stop", 0.0), ("yield", 12.0))
        self.assertEqual(sign_under(two, told("sign_seen", 15, 0, 8.0)), 1)
        self.assertIsNone(sign_under(two, told("sign_seen", 15, 0, 200.0)))
        self.assertIsNone(sign_under(two, told("sign_seen", 32, 0, 0.0)))

    def test_of_two_signs_in_one_box_the_name_decides(self):
        two = truth(("stop", 0.0), ("yield", 12.0))
        for left, key, sign in ((6.0, "stop", 0), (6.0, "yield", 1), (9.0, "stop", 1)):
            self.assertEqual(sign_under(two, told("sign_confirmed", 15, 0, left, key)), sign)

    def test_only_the_end_of_a_track_may_have_an_older_box(self):
        one = truth(("stop", 0.0))
        self.assertEqual(sign_under(one, told("sign_lost", 33, 0, 0.0)), 0)
        self.assertIsNone(sign_under(one, told("sign_lost", 36, 0, 0.0)))

    def test_a_box_on_no_sign_belongs_to_that_of_the_event_before_or_after(self):
        one = truth(("stop", 0.0))
        cut = [told("sign_seen", 12, 0, 0.0), told("sign_confirmed", 32, 0, 0.0, "stop")]
        self.assertEqual(signs_of(one, cut), [0, 0])
        early = [told("sign_seen", 8, 0, 0.0), told("sign_confirmed", 14, 0, 0.0, "stop")]
        self.assertEqual(signs_of(one, early), [0, 0])
        self.assertEqual(signs_of(one, [told("sign_seen", 12, 0, 90.0)]), [None])


class Following(unittest.TestCase):
    def test_a_sign_of_one_track_is_whole(self):
        found = follow(
            truth(("stop", 0.0)),
            [
                told("sign_seen", 14, 3, 0.0),
                told("sign_confirmed", 16, 3, 0.0, "stop"),
                told("sign_lost", 31, 3, 0.0, "stop"),
            ],
            set(),
            {0},
        )
        self.assertEqual((found.tracks, found.switches, found.fragments), ([1], 0, 0))
        # Visible from 1.0 s on; found at 1.2 s, 24 m along, and named at 1.6 s, 32 m along.
        self.assertEqual(found.detected, [Moment(1.2 - 1.0, 70.0 - 24.0)])
        self.assertEqual(found.confirmed, [Moment(1.6 - 1.0, 70.0 - 32.0)])
        self.assertEqual(found.false_events, [])

    def test_a_second_track_is_a_fragment_and_a_change_of_sign_a_switch(self):
        found = follow(
            truth(("stop", 0.0), ("yield", 100.0)),
            [
                told("sign_seen", 12, 0, 0.0),
                told("sign_lost", 15, 0, 0.0),
                told("sign_seen", 18, 1, 0.0),
                told("sign_lost", 25, 1, 100.0),
            ],
            set(),
            {0, 1},
        )
        self.assertEqual((found.tracks, found.switches, found.fragments), ([2, 1], 1, 1))
        # The second sign was only ever followed by a track that began elsewhere.
        self.assertEqual(len(found.detected), 1)

    def test_a_name_is_false_on_no_sign_on_another_and_on_a_false_friend(self):
        found = follow(
            truth(("stop", 0.0), ("other_sign", 100.0)),
            [
                told("sign_confirmed", 12, 0, 0.0, "yield"),
                told("sign_confirmed", 14, 0, 0.0, "stop"),
                told("sign_confirmed", 14, 1, 100.0, "speed_limit_50"),
                told("sign_confirmed", 14, 2, 300.0, "stop"),
            ],
            {"other_sign"},
            {0},
        )
        on = [event.split(": ")[1] for event in found.false_events]
        self.assertEqual(on, ["yield on stop", "speed_limit_50 on other_sign", "stop on no sign"])
        self.assertEqual((found.signs, found.tracks), (1, [1]))
        self.assertEqual(len(found.confirmed), 1)

    def test_signs_that_stay_too_small_are_left_out(self):
        found = follow(truth(("stop", 0.0)), [told("sign_seen", 12, 0, 0.0)], set(), set())
        self.assertEqual((found.signs, found.tracks, found.detected), (0, [], []))

    def test_drives_add_up(self):
        drive = follow(truth(("stop", 0.0)), [told("sign_seen", 12, 0, 0.0)], set(), {0})
        hours = drive.hours
        drive.add(follow(truth(("stop", 0.0)), [], set(), {0}))
        self.assertEqual((drive.signs, drive.tracks), (2, [1]))
        self.assertAlmostEqual(drive.hours, 2 * hours)


class Reading(unittest.TestCase):
    def test_lines_of_tracks_are_read_and_others_left(self):
        line = (
            '{"event":"sign_confirmed","time_s":1.5,"frame":15,"track":7,"result":"sign","class":"stop",'
            '"box_px":[1,2,3,4],"first_seen_s":1.1}'
        )
        lines = [json.loads(line), {"event": "summary", "time_s": 2.0}]
        expected = Event("sign_confirmed", 1.5, 15, 7, "stop", (1, 2, 3, 4), 1.1)
        self.assertEqual(read_events(lines), [expected])


class Rates(unittest.TestCase):
    def test_upper_ends_are_those_of_the_tables(self):
        # Exact one-sided 95 % bounds of a Poisson mean: Garwood, Biometrika 28 (1936).
        for count, bound in ((0, 2.996), (1, 4.744), (5, 10.513), (20, 29.062)):
            self.assertAlmostEqual(most_per_hour(count, 1.0), bound, places=3)
        self.assertAlmostEqual(most_per_hour(0, 3.0), 0.9986, places=3)


if __name__ == "__main__":
    unittest.main()
