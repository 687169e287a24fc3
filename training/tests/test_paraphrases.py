from tsedge_training import paraphrases


def test_every_class_gets_more_sentences_in_every_region(prompts):
    more = paraphrases.extended(prompts, seed=0)
    assert set(more.regions) == set(prompts.regions)
    for before, after in zip(prompts.world.classes, more.world.classes, strict=True):
        assert set(before.sentences) <= set(after.sentences)
        assert len(after.sentences) > len(before.sentences)
    assert paraphrases.extended(prompts, seed=0) == more


def test_looks_of_other_countries_are_among_them(prompts):
    more = paraphrases.extended(prompts, seed=0)
    texts = [s for c in more.world.classes if c.family == "warning" for s in c.sentences]
    assert any("orange diamond" in s for s in texts)
    assert not any("{" in s for s in texts)


def test_local_names_stay_the_smaller_part_of_them(prompts):
    more = paraphrases.extended(prompts, seed=0)
    for before, after in zip(prompts.world.classes, more.world.classes, strict=True):
        labels = {
            c.label_local
            for region in prompts.regions.values()
            for c in region.classes
            if c.key == before.key and c.label_local != c.label_en
        }
        extra = set(after.sentences) - set(before.sentences)
        local = extra & {o.format(n) for o in paraphrases.OPENINGS for n in labels}
        assert len(local) <= paraphrases.LOCAL, (before.key, local)
