"""Bootstrap, paired test and diagnosis against known cases."""

import math
import statistics
from functools import cache

import numpy as np
import pytest
from scipy import stats

from clasnet.evaluation.bootstrap import bootstrap_map, resamples
from clasnet.evaluation.diagnosis import KINDS, characteristics, diagnose, sensitivity
from clasnet.evaluation.metrics import detection_ap, interpolated_ap, temporal_iou
from clasnet.evaluation.statistics import gain_interval, paired_p, spread
from stages.tables import published_rows


def drawn(rng, videos, quality=0.5):
    """Ground truth of one to three instances a video, and predictions, of which more hit the higher ``quality`` is."""
    truth, found = [], []
    for v in range(videos):
        for k in range(rng.integers(1, 4)):
            start, label = 20.0 * k + rng.uniform(0, 5), rng.integers(3)
            truth.append((start, start + 8, v, label))
            for _ in range(2):
                good = rng.random() < quality
                at = start + (rng.uniform(-2, 2) if good else rng.uniform(5, 9))
                guess = label if rng.random() < 0.9 else rng.integers(3)
                found.append((at, at + 8, v, guess, rng.random() + 0.3 * good))
    truth, found = np.array(truth), np.array(found)
    truth, arrays = ((x[:, :2], x[:, 2].astype(int), x[:, 3].astype(int)) for x in (truth, found))
    return truth, (*arrays, found[:, 4])


def test_an_instance_at_the_edge_of_a_bin_is_in_the_lower_one():
    """The bins of DETAD: lengths in seconds, shares of the video, instances of the class in the video."""
    lengths = [3, 3.01, 6, 6.01, 12, 12.01, 18, 18.01]
    edges = ([(0, x) for x in lengths], range(8), [0] * 8)
    names, bins = characteristics(edges, [1000] * 8)["length"]
    assert names == ("XS ≤ 3 s", "S ≤ 6", "M ≤ 12", "L ≤ 18", "XL") and bins.tolist() == [0, 1, 1, 2, 2, 3, 3, 4]
    shares = [2, 2.01, 4, 4.01, 6, 6.01, 8, 8.01]
    names, bins = characteristics(([(0, x) for x in shares], range(8), [0] * 8), [100] * 8)["coverage"]
    assert names == ("XS ≤ 2 %", "S ≤ 4", "M ≤ 6", "L ≤ 8", "XL") and bins.tolist() == [0, 1, 1, 2, 2, 3, 3, 4]
    counts = {0: 1, 1: 2, 2: 4, 3: 5, 4: 8, 5: 9}  # of one class in a video
    video = [v for v, count in counts.items() for _ in range(count)]
    names, bins = characteristics(([(0, 1)] * len(video), video, [0] * len(video)), [9] * 6)["instances"]
    assert names == ("1", "2 to 4", "5 to 8", "more")
    assert dict(zip(video, bins.tolist(), strict=True)) == {0: 0, 1: 1, 2: 1, 3: 2, 4: 2, 5: 3}


def test_bootstrap_counts_videos_as_often_as_they_are_drawn():
    rng = np.random.default_rng(0)
    truth, found = drawn(rng, 12)
    weights = np.vstack([np.ones(12, dtype=int), resamples(12, 5)])
    got = bootstrap_map(*truth, *found, (0.3, 0.6), weights)
    for weight, value in zip(weights, got, strict=True):
        copies = [[], []]  # every video as many times as it was drawn, under a name of its own
        for copy in range(weight.max()):
            for side, arrays in zip(copies, (truth, found), strict=True):
                kept = weight[arrays[1]] > copy
                side.append([arrays[0][kept], arrays[1][kept] + 100 * copy, *(x[kept] for x in arrays[2:])])
        repeated = [tuple(np.concatenate(parts) for parts in zip(*side, strict=True)) for side in copies]
        assert value == pytest.approx(detection_ap(*repeated[0], *repeated[1], (0.3, 0.6)).map.mean(), abs=1e-12)


def test_resamples_draw_as_many_videos():
    weights = resamples(50, 1000)
    assert (weights.sum(1) == 50).all() and abs(weights.mean(0) - 1).max() < 0.2
    np.testing.assert_array_equal(weights, resamples(50, 1000))


@cache
def drawn_once(test_set, videos):
    """The ``test_set`` of a seed, which all that is trained for it is tested on."""
    return drawn(np.random.default_rng(test_set), videos, 0.7)


@pytest.mark.parametrize(("seeds", "variation"), [(1, 0.0), (3, 0.1), (5, 0.03)])
def test_intervals_of_a_gain_cover_as_often_as_they_claim(seeds, variation):
    """200 test sets of 60 videos with trainings of their own.

    The 95 % interval holds the gain of the whole population about that often. The two models find the same segments;
    the first one loses the score of some, how many varies over its training seeds.
    """

    def gain(test_set, training, videos, weights):
        truth, after = drawn_once(test_set, videos)
        rng = np.random.default_rng(training)
        lost = rng.random(len(after[3])) < rng.normal(0.35, variation)
        before, after = (
            bootstrap_map(*truth, *after[:3], scores, (0.5,), weights) for scores in (after[3] * ~lost, after[3])
        )
        return after - before

    true_gain = np.mean([gain((1, i), [2, i], 300, np.ones((1, 300))) for i in range(100)])
    inside = 0
    for trial in range(200):
        weights = np.vstack([np.ones(60, dtype=int), resamples(60, 200, seed=trial)])
        found = np.array([gain((3, trial), [4, trial, seed], 60, weights) for seed in range(seeds)])
        low, high = gain_interval(found[:, 0], found[:, 1:].mean(0), 60)
        inside += low <= true_gain <= high
    assert 0.91 <= inside / 200 <= 0.99, inside / 200


def test_an_interval_needs_replicates():
    with pytest.raises(ValueError, match="1 bootstrap replicates: an interval over test videos needs at least two"):
        gain_interval(np.array([1.0, 2.0]), np.array([1.5]), 60)


def test_spread_and_paired_test():
    assert np.isnan(spread([1.0])) and spread([1.0, 3.0]) == pytest.approx(2**0.5)
    assert np.isnan(paired_p([1.0], [2.0])) and np.isnan(paired_p([1.0, 2.0], [2.0, 3.0]))
    # t = 31 at 2 degrees of freedom
    assert paired_p([1.0, 2.0, 3.0], [2.0, 3.1, 4.0]) == pytest.approx(0.00104, abs=2e-5)


def test_results_in_print_are_grouped_and_carry_their_keys():
    rows = published_rows("thumos14")
    assert list(dict.fromkeys(row["Supervision"] for row in rows)) == ["full", "weak"] and len(rows) > 80
    stpn = next(row for row in rows if row["Method"].startswith("STPN ["))
    assert stpn["0.5"] == "16.9" and stpn["AVG 0.1:0.7"] == "27.0" and stpn["Method"] == "STPN [stpn2018]"
    assert len({row["Method"] for row in rows}) == len(rows)
    assert {row["Supervision"] for row in published_rows("activitynet13")} == {"full", "weak"}


TRUTH = np.array([[0.0, 10], [20, 30], [100, 110]]), np.array([0, 0, 1]), np.array([0, 1, 0])
FOUND = [  # segment, video, class, score: each kind once
    ((0, 10), 0, 0, 0.9, "true positive"),
    ((0, 9), 0, 0, 0.8, "double detection"),
    ((0, 10), 0, 1, 0.7, "wrong label"),
    ((5, 15), 0, 0, 0.6, "localisation"),
    ((5, 16), 0, 1, 0.5, "confusion"),
    ((50, 60), 0, 0, 0.4, "background"),
    ((100, 110), 1, 0, 0.3, "true positive"),
    ((20, 30), 0, 1, 0.2, "true positive"),
]


def arrays(rows):
    segments, video, label, score, _ = zip(*rows, strict=True)
    return np.array(segments, dtype=float), np.array(video), np.array(label), np.array(score)


def test_every_kind_of_error_once():
    result = diagnose(TRUTH, arrays(FOUND))
    assert result["counts"] == {"true positive": 3, **dict.fromkeys(KINDS, 1)}
    named = ["true positive" if k < 0 else KINDS[k] for k in result["kind"]]
    assert named == [kind for *_, kind in FOUND]
    whole = detection_ap(*TRUTH, *arrays(FOUND), [0.5]).map[0]
    for kind in KINDS:
        without = arrays([row for row in FOUND if row[-1] != kind])
        gain = 100 * (detection_ap(*TRUTH, *without, [0.5]).map[0] - whole)
        assert result["cost"][kind] == pytest.approx(gain) and gain > 0


DETAD = [  # segment, class, score; kind here, and of DETAD's released code; truth: class 0 at 0 to 10, 1 at 8 to 18
    ((0.0, 10), 0, 0.9, "true positive", "true positive"),
    ((1, 10), 0, 0.8, "double detection", "double detection"),
    ((1, 11), 1, 0.7, "wrong label", "wrong label"),
    ((-9, 5), 0, 0.6, "localisation", "localisation"),  # 5 of 19
    ((-9, 5), 1, 0.5, "confusion", "confusion"),
    ((30, 40), 1, 0.4, "background", "background"),
    ((7, 16), 0, 0.3, "wrong label", "wrong label"),  # 3 of 16 of its own class, 8 of 11 of the other
    ((7, 12), 0, 0.2, "localisation", "confusion"),  # 3 of 12, 4 of 11
    ((8, 18), 1, 0.1, "true positive", "true positive"),
]


def test_kinds_of_errors_as_in_detad_but_where_the_docstring_says():
    segments, label, score, ours, theirs = zip(*DETAD, strict=True)
    truth = np.array([[0.0, 10], [8, 18]]), np.zeros(2, int), np.array([0, 1])
    found = np.array(segments, dtype=float), np.zeros(len(label), int), np.array(label), np.array(score)
    result = diagnose(truth, found)
    assert ["true positive" if k < 0 else KINDS[k] for k in result["kind"]] == list(ours)
    for n, (segment, own) in enumerate(zip(segments, label, strict=True)):  # its rule: the one of largest overlap
        iou = temporal_iou(np.array(segment, dtype=float), truth[0])
        best, same = iou.max(), truth[2][iou.argmax()] == own
        rule = ("double detection" if same else "wrong label") if best >= 0.5 else "background"
        rule = ("localisation" if same else "confusion") if 0.1 <= best < 0.5 else rule
        assert result["kind"][n] < 0 or rule == theirs[n]


def test_only_the_best_predictions_count():
    result = diagnose(TRUTH, arrays(FOUND), per_instance=1)
    assert sum(result["counts"].values()) == 3 and result["counts"]["localisation"] == 0
    one, found = [x[:1] for x in TRUTH], (np.array([[0.0, 10]] * 12), np.zeros(12, int), np.zeros(12, int), np.ones(12))
    assert sum(diagnose(one, found)["counts"].values()) == 10


def test_sensitivity_by_bin():
    bins = characteristics(TRUTH, [200.0, 1000.0])
    assert {name: of_instances.tolist() for name, (_, of_instances) in bins.items()} == {
        "length": [2, 2, 2],
        "coverage": [2, 2, 0],
        "instances": [0, 0, 0],
    }
    rows = sensitivity(TRUTH, arrays(FOUND[:-1]), bins["coverage"][1], 5)
    assert [row["instances"] for row in rows] == [1, 0, 2, 0, 0]
    assert [row["missed"] for row in rows] == [0, None, 0.5, None, None] and rows[1]["mAP_N"] is None
    perfect = sensitivity(TRUTH, (*TRUTH, np.ones(3)), bins["coverage"][1], 5)
    assert perfect[0]["mAP_N"] == perfect[2]["mAP_N"] == 100
    starts = np.array([[0.0, 4], [20, 26], [100, 106]])  # of t-IoU 0.4, 0.6 and 0.6
    rows = sensitivity(TRUTH, (starts, *TRUTH[1:], np.ones(3)), np.arange(3), 3)
    assert [row["missed"] for row in rows] == [1, 0, 0]


@pytest.mark.parametrize("gains", [[1.5], [1.0, 4.0], [2.0, 3.0, 7.0]])
@pytest.mark.parametrize("coverage", [0.95, 0.5])
def test_the_interval_by_its_formula(gains, coverage):
    """Variances of seeds and of videos add up; the degrees of freedom are Welch and Satterthwaite's."""
    replicates, videos = np.array([0.0, 1.0, 3.0, 2.5]), 40
    seeds = statistics.variance(gains) / len(gains) if len(gains) > 1 else 0.0
    test_set = statistics.pvariance(replicates.tolist())
    freedom = (seeds + test_set) ** 2 / ((seeds**2 / (len(gains) - 1) if seeds else 0) + test_set**2 / (videos - 1))
    reach = stats.t.ppf(0.5 + coverage / 2, freedom) * math.sqrt(seeds + test_set)
    low, high = gain_interval(np.array(gains), replicates, videos, coverage)
    middle = statistics.mean(gains)
    assert (low, high) == pytest.approx((middle - reach, middle + reach), rel=1e-12)


def test_an_interval_without_variance_is_a_point():
    assert gain_interval(np.array([2.0, 2.0]), np.array([1.0, 1.0]), 9) == (2, 2)
    low, high = gain_interval(np.array([1.0, 3.0]), np.array([2.0, 2.0]), 1)  # one test video, whose variance is none
    assert (low, high) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-3)


def test_two_seeds_have_a_p_value():
    assert paired_p([1.0, 1.0], [2.0, 3.0]) == pytest.approx(0.2048, abs=1e-4)  # t = 3 at 1 degree of freedom


def test_classes_that_a_resample_lacks_do_not_count():
    """Three videos of a class each, of which the first is found, the second behind a wrong one, the third not."""
    truth = np.array([[0.0, 10]] * 3), np.arange(3), np.arange(3)
    found = (
        np.array([[0.0, 10], [50, 60], [0, 10]]),
        np.array([0, 1, 1]),
        np.array([0, 1, 1]),
        np.array([0.9, 0.8, 0.7]),
    )
    weights = [[1, 1, 1], [3, 0, 0], [0, 3, 0], [1, 2, 0], [0, 0, 3], [2, 0, 1], [0, 0, 0]]
    expected = [(1 + 0.5) / 3, 1, 0.5, (1 + 0.5) / 2, 0, 1 / 2, 0]
    assert bootstrap_map(*truth, *found, (0.5,), weights) == pytest.approx(expected)


def test_normalised_precision_is_as_if_there_were_as_many_as_usual():
    hit = np.array([[True, False, True]])
    assert interpolated_ap(hit, 2) == pytest.approx([(1 + 2 / 3) / 2])
    assert interpolated_ap(hit, 2, usual=4) == pytest.approx([(1 + 4 / 5) / 2])
