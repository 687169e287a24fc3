import re
import unittest

from drawn_route import CONDITIONS, minutes_past, pieces, posts, scenario, way_at


def signs(text: str) -> list[str]:
    return re.findall(r"\[\[sign\]\](?:\n\w.*)+", text)


class Route(unittest.TestCase):
    def test_five_minutes_pass_every_post_once(self):
        keys = sorted(key for post in posts() for key in post)
        found = re.findall(r'class = "(\w+)"', scenario(CONDITIONS[0], 5.0, 10))
        missing = set(keys) - set(found)
        self.assertEqual(missing, set())

    def test_signs_of_another_style_are_all_passed(self):
        past = [(f"speed_limit_{n}",) for n in range(70)] + [("town_sign",)]
        for every_s in (3.0, 5.5):
            minutes = minutes_past(len(past), every_s)
            text = scenario(CONDITIONS[0], minutes, 10, "FR", past, every_s)
            self.assertEqual(set(re.findall(r'class = "(\w+)"', text)), {key for (key,) in past})
            self.assertEqual(set(re.findall(r'style = "(\w+)"', text)), {"FR"})

    def test_signs_are_the_same_in_every_condition(self):
        first = signs(scenario(CONDITIONS[0], 1.0, 10))
        self.assertGreater(len(first), 5)
        for condition in CONDITIONS[1:]:
            self.assertEqual(signs(scenario(condition, 1.0, 10)), first)

    def test_the_way_takes_the_time_asked_for(self):
        for seconds in (20.0, 60.0, 300.0):
            road = pieces(seconds)
            takes_s = sum(piece.length_m / (piece.speed_kmh / 3.6) for piece in road)
            self.assertAlmostEqual(takes_s, seconds, delta=0.1)
            length_m = sum(piece.length_m for piece in road)
            self.assertAlmostEqual(way_at(road, takes_s), length_m, delta=1e-6)

    def test_routes_pass_the_same_signs_in_another_order(self):
        five, six = (
            re.findall(r'class = "(\w+)"', scenario(CONDITIONS[0], 5.7, 10, route=route))
            for route in (5, 6)
        )
        self.assertNotEqual(five, six)
        self.assertGreater(len(set(five) & set(six)), 0.8 * len(set(five)))

    def test_only_shaken_conditions_shake(self):
        for condition in CONDITIONS:
            text = scenario(condition, 1.0, 10)
            self.assertEqual("[camera.shake]" in text, condition.shaken)


if __name__ == "__main__":
    unittest.main()
