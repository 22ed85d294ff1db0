"""Small functions against their definitions in plain loops, on drawn inputs."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clasnet.evaluation.diagnosis import best_predictions
from clasnet.evaluation.metrics import classification_map, interpolated_ap, temporal_iou
from clasnet.evaluation.replicates import holm, interquartile_mean, probability_of_improvement
from clasnet.localization.proposals import interpolate

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=40)


@few
@given(*[st.integers(0, 12)] * 4)
def test_overlap_is_the_share_of_common_seconds(a, b, c, d):
    one, other = sorted((a, b)), sorted((c, d))
    common, either = (len(f(set(range(*one)), set(range(*other)))) for f in (set.intersection, set.union))
    found = temporal_iou(np.array(one, dtype=float), np.array(other, dtype=float))
    assert found == pytest.approx(common / either if either else 0)


@few
@given(seeds, st.integers(1, 30), st.integers(1, 5), st.booleans())
def test_average_precision_is_the_area_under_its_curve(seed, count, missed, normalised):
    """Area under "the best precision at this recall or a higher one"."""
    rng = np.random.default_rng(seed)
    hit = rng.random(count) < 0.4
    positives, usual = hit.sum() + missed, 7.5 if normalised else None
    points = []
    for n in range(1, count + 1):
        true = hit[:n].sum()
        scaled = true * usual / positives if usual else true
        points.append((true / positives, scaled / (scaled + n - true) if true else 0))
    area = 0
    for k in range(1, hit.sum() + 1):
        area += max(precision for recall, precision in points if recall >= k / positives - 1e-12) / positives
    assert interpolated_ap(hit[None], positives, usual) == pytest.approx([area])


@few
@given(seeds, st.integers(1, 12))
def test_classification_map_by_its_definition(seed, videos):
    rng = np.random.default_rng(seed)
    labels, scores = rng.random((videos, 4)) < 0.4, rng.integers(5, size=(videos, 4)) / 5
    aps = []
    for c in np.flatnonzero(labels.any(0)):
        ranked = sorted(range(videos), key=lambda v, c=c: -scores[v, c])
        hits = [labels[v, c] for v in ranked]
        aps.append(np.mean([np.mean(hits[: n + 1]) for n in range(videos) if hits[n]]))
    assert classification_map(labels, scores) == pytest.approx(np.mean(aps) if aps else 0)


@few
@given(seeds, st.integers(1, 20))
def test_the_best_predictions_keep_their_order(seed, count):
    scores = np.random.default_rng(seed).integers(6, size=15) / 6
    ranked = sorted(range(15), key=lambda n: -scores[n])
    assert best_predictions([np.arange(15), scores], count)[0].tolist() == sorted(ranked[:count])


@few
@given(seeds, st.integers(1, 9), st.floats(0.01, 0.3))
def test_holm_rejects_what_the_step_down_rejects(seed, count, alpha):
    p = np.random.default_rng(seed).beta(0.3, 2, count)
    rejected = set()
    for step, n in enumerate(np.argsort(p)):
        if p[n] > alpha / (count - step):
            break
        rejected.add(n)
    assert set(np.flatnonzero(holm(p) <= alpha)) == rejected


@few
@given(seeds, st.integers(1, 30))
def test_the_interquartile_mean_drops_a_quarter_at_either_end(seed, count):
    values = np.random.default_rng(seed).normal(size=count)
    assert interquartile_mean(values) == pytest.approx(np.mean(sorted(values)[count // 4 : count - count // 4]))


@few
@given(seeds, st.integers(1, 3), st.integers(1, 4))
def test_the_probability_of_improvement_counts_pairs(seed, cells, runs):
    before, after = np.random.default_rng(seed).integers(4, size=(2, cells, runs))
    wins = [(a > b) + (a == b) / 2 for x, y in zip(before, after, strict=True) for b, a in product(x, y)]
    assert probability_of_improvement(before, after) == pytest.approx(np.mean(wins))


@few
@given(seeds, st.integers(1, 12), st.integers(1, 5))
def test_interpolation_passes_through_the_snippets(seed, count, times):
    values = np.random.default_rng(seed).random((count, 2))
    fine = interpolate(values, count * times)
    assert fine.shape == (count * times, 2) and fine.min() >= 0 and fine.max() <= 1
    np.testing.assert_allclose(fine[::times], values, atol=1e-12)
