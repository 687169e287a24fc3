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
