"""Localisation, soft-NMS and mAP against plain loops."""

import numpy as np
import pandas as pd
import pytest
import references as plain
from hypothesis import given, settings
from hypothesis import strategies as st

from clasnet.data.annotation_files import read_annotations
from clasnet.data.datasets import benchmark_of
from clasnet.evaluation.metrics import classification_map, detection_ap, match, temporal_iou
from clasnet.localization import soft_nms as nms
from clasnet.localization.localize import localize, overlaps_any, present_classes, to_whole_snippets
from clasnet.localization.proposals import interpolate, outer_inner_score
from clasnet.localization.settings import Localization
from clasnet.localization.soft_nms import soft_nms

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=80, deadline=None)
@given(seeds, st.integers(1, 40), st.booleans(), st.sampled_from([0.0, 0.1]), st.sampled_from([10, 300, nms.PAIRS]))
def test_soft_nms(seed, count, pixel, min_iou, pairs):
    nms.PAIRS = pairs  # few: group by group, or pair by pair
    rng = np.random.default_rng(seed)
    start = rng.integers(30, size=count)
    end = start + rng.integers(1, 12, size=count)
    scores, group = rng.standard_normal(count), rng.integers(4, size=count)
    expected = scores.copy()
    for g in range(4):
        own = group == g
        expected[own] = plain.soft_nms(start[own], end[own], scores[own], 0.3, pixel, min_iou)
    np.testing.assert_allclose(soft_nms(start, end, scores, group, 0.3, pixel, min_iou), expected, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 60))
def test_localization_by_attention(seed, length):
    rng = np.random.default_rng(seed)
    cas, attention = 4 * rng.standard_normal((length, 6)), rng.random(length)
    weighted = cas * attention[:, None]
    top = np.sort(weighted, 0)[::-1][: max(1, length // 10)].mean(0)
    found = localize(plain.softmax(top)[:-1], weighted[:, :-1], attention[:, None], Localization())
    expected = plain.localize_by_attention(cas, attention, 10)
    for c in np.unique(expected[:, 2]):
        own = expected[:, 2] == c
        expected[own, 3] = plain.soft_nms(expected[own, 0], expected[own, 1], expected[own, 3], 0.3, True, 0.0)
    got = np.column_stack([found.segments / 0.64, found.classes, found.scores])
    np.testing.assert_allclose(plain.sorted_rows(got, 6), plain.sorted_rows(expected, 6), atol=1e-9)


def test_interpolation_extrapolates_and_clips():
    values = np.array([[0.2], [0.4], [0.5]])
    np.testing.assert_allclose(interpolate(values, 6)[:, 0], [0.2, 0.3, 0.4, 0.45, 0.5, 0.55])
    assert interpolate(np.array([[0.0], [0.9]]), 8).max() == 1
    np.testing.assert_allclose(interpolate(np.array([[0.7]]), 4), 0.7)


def test_ambiguous_overlap_in_snippets_and_in_seconds():
    segments = np.array([[0, 2]]) * 0.64  # snippets 0 and 1
    assert not overlaps_any(segments, [[1.3, 3.0]], "snippets").any()  # rounds to snippets 2 ... 4
    assert not overlaps_any(segments, [[1.3, 3.0]], "seconds").any()
    assert overlaps_any(segments, [[0.9, 3.0]], "snippets").all()  # rounds to 1 ... 4
    assert overlaps_any(segments, [[1.2, 3.0]], "seconds").all()


@st.composite
def detection_cases(draw):
    rng = np.random.default_rng(draw(seeds))
    truths, found = draw(st.integers(1, 12)), draw(st.integers(0, 40))

    def segments(n):
        start = rng.integers(0, 12, n)
        return np.stack([start, start + rng.integers(1, 8, n)], 1).astype(float)

    truth = segments(truths), rng.integers(3, size=truths), rng.integers(3, size=truths)
    scores = rng.integers(10, size=found) / 10 if draw(st.booleans()) else rng.random(found)  # with and without ties
    return truth, (segments(found), rng.integers(4, size=found), rng.integers(4, size=found), scores)


@settings(max_examples=200, deadline=None)
@given(detection_cases())
def test_detection_ap(case):
    (segments, video, label), (p_segments, p_video, p_label, p_scores) = case
    tious = (0.1, 0.3, 0.5, 0.75)
    result = detection_ap(segments, video, label, p_segments, p_video, p_label, p_scores, tious)
    for k, c in enumerate(result.classes):
        own, p_own = label == c, p_label == c
        truth = [(v, *s) for v, s in zip(video[own], segments[own], strict=True)]
        found = zip(p_video[p_own], p_segments[p_own], p_scores[p_own], strict=True)
        predictions = [(v, *s, score) for v, s, score in found]
        for t, tiou in enumerate(tious):
            assert abs(result.ap[t, k] - plain.average_precision(truth, predictions, tiou)) < 1e-9


def frames(segments, video, label, scores=None):
    """Arrays as the plain evaluation's data frame."""
    columns = {"video": video, "label": label, "start": segments[:, 0], "end": segments[:, 1]}
    return pd.DataFrame(columns | ({} if scores is None else {"score": scores}))


@settings(max_examples=60, deadline=None)
@given(detection_cases())
def test_detection_ap_against_the_data_frames(case):
    truth, found = case
    result = detection_ap(*truth, *found, (0.3, 0.5))
    expected = plain.pandas_detection_ap(frames(*truth), frames(*found), (0.3, 0.5))
    np.testing.assert_allclose(result.ap, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", ["thumos14", "activitynet/activity_net.v1-2.min-missing-removed.json", "activitynet"])
def test_detection_ap_on_real_ground_truth(published, name):
    """Predictions around the real instances of some classes, duplicates, wrong labels and background among them."""
    a = read_annotations(published / "annotations" / name)
    a = a.select(np.flatnonzero(a.subset == ("test" if name == "thumos14" else "validation"))[:150])
    rng = np.random.default_rng(0)
    pick = rng.integers(len(a.segments), size=800)
    segments = a.segments[pick] + rng.normal(size=(800, 2)) * np.diff(a.segments[pick], axis=1) * 0.3
    found = np.sort(segments, axis=1), a.segment_video[pick], a.segment_class[pick], rng.integers(50, size=800) / 50
    found[2][::7] = a.segment_class[rng.integers(len(a.segments), size=len(found[2][::7]))]
    truth = a.segments, a.segment_video, a.segment_class
    result = detection_ap(*truth, *found, (0.1, 0.5, 0.9))
    assert 0.05 < result.map[0] < 1
    expected = plain.pandas_detection_ap(frames(*truth), frames(*found), (0.1, 0.5, 0.9))
    np.testing.assert_allclose(result.ap, expected, atol=1e-9, rtol=0)


def test_of_equal_overlaps_the_later_ground_truth_is_taken():
    truth = np.array([[0.0, 10], [10, 20]]), np.zeros(2, int), np.zeros(2, int)
    segments, zeros, scores = np.array([[5.0, 15], [0, 10]]), np.zeros(2, int), np.array([0.9, 0.8])
    assert match(*truth, segments, zeros, zeros, [0.3]).tolist() == [[1, 0]]
    assert detection_ap(*truth, segments, zeros, zeros, scores, [0.3]).map == 1
    segments[1] = 10, 20  # overlaps only the one that is taken
    assert detection_ap(*truth, segments, zeros, zeros, scores, [0.3]).map == 0.5


def test_whole_snippets_of_real_videos_tie_as_in_the_released_evaluation(published):
    """Whole snippets around the real instances, where the order of the ground truths shows in the mAP."""
    a = read_annotations(published / "annotations/thumos14")
    a = a.select(np.flatnonzero(a.subset == "test"))
    rng, tious = np.random.default_rng(0), benchmark_of("thumos14").tious
    pick = rng.integers(len(a.segments), size=1500)
    segments = np.sort(a.segments[pick] + rng.normal(size=(1500, 2)) * 6, axis=1)  # as far as the next instances
    segments = np.floor(segments.clip(0) / 0.64) + [0, 1]
    truth = to_whole_snippets(a.segments), a.segment_video, a.segment_class
    found = segments, a.segment_video[pick], a.segment_class[pick], rng.random(1500)
    ours = detection_ap(*truth, *found, tious)
    np.testing.assert_allclose(ours.ap, plain.pandas_detection_ap(frames(*truth), frames(*found), tious), atol=1e-9)
    turned = detection_ap(*(x[::-1] for x in truth), *found, tious)
    assert abs(ours.map - turned.map).max() > 1e-4


def test_perfect_and_empty_predictions():
    truth = np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([0, 1]), np.array([0, 0])
    assert detection_ap(*truth, *truth, np.ones(2), (0.5,)).map == 1
    assert detection_ap(*truth, np.empty((0, 2)), np.empty(0, int), np.empty(0, int), np.empty(0), (0.5,)).map == 0


def test_classification_map():
    labels = np.array([[1, 0, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0]])
    scores = np.array([[0.9, 0.1, 0], [0.8, 0.2, 0], [0.7, 0.3, 0], [0.1, 0.4, 0]])
    assert np.isclose(classification_map(labels, scores), ((1 + 2 / 3) / 2 + 1) / 2)


def test_whole_snippets_are_of_16_frames_at_25_a_second():
    assert to_whole_snippets([0.0, 0.32, 0.96, 6.4, 10.0]).tolist() == [0, 0, 2, 10, 16]  # halves to the even one


def test_a_class_whose_score_is_the_threshold_is_present():
    assert present_classes(np.array([0.5, 0.2, 0.1]), 0.2).tolist() == [0, 1]
    assert present_classes(np.array([0.05, 0.1]), 0.2).tolist() == [1]


@pytest.mark.parametrize(("units", "kept"), [("snippets", 1), ("seconds", 0)])
def test_ambiguous_segments_count_in_the_units_of_the_baseline(units, kept):
    """One proposal of two snippets, 0 to 1.28 s; 1.2 s is in it, and in whole snippets it is its end."""
    activity = np.array([[1.0], [1.0], [0.0], [0.0]])
    settings_of = Localization(num_thresholds=1, units=units)
    assert len(localize(np.ones(1), activity, activity, settings_of, ambiguous=[(1.2, 3.0)]).scores) == kept


def test_proposals_of_one_snippet_lower_others_before_they_are_dropped():
    activity = np.array([[0.95], [0.5], [0.0], [0.0], [0.5]])  # 0 to 1 above low thresholds, 0 alone above high ones
    delu, all_kept = (Localization(num_thresholds=2, min_length_kept=n) for n in (2, 1))
    video = np.zeros(1)
    everything = localize(video, activity, activity, all_kept)
    long = np.diff(everything.segments, axis=1)[:, 0] > 0.65
    assert long.tolist() == [True, False, False]
    for ambiguous in (None, [(50.0, 60.0)]):
        found = localize(video, activity, activity, delu, ambiguous=ambiguous)
        assert found.scores.tolist() == everything.scores[long].tolist()
        assert found.scores[0] < outer_inner_score(activity, np.array([0]), np.array([1]), np.array([0]))[0]


def test_the_margin_of_a_baseline_counts():
    activity = np.array([0.0, 0.3, 0.2, 1, 1, 1, 1, 0.1, 0.4, 0.0])[:, None]
    found = localize(np.zeros(1), activity, activity, Localization(thresholds=(0.5, 0.5), num_thresholds=1, margin=0.5))
    assert found.scores == pytest.approx([1 - (0.3 + 0.2 + 0.1 + 0.4) / 4])


def test_a_video_of_one_snippet_is_kept_within_its_bounds():
    np.testing.assert_array_equal(interpolate(np.array([[-0.5, 0.4, 1.5]]), 2), [[0, 0.4, 1]] * 2)


def test_segments_without_length_do_not_overlap():
    empty = np.full((3, 2), 5.0)
    for _ in range(3):
        assert temporal_iou(empty, empty).tolist() == [0, 0, 0]


def test_more_predictions_than_are_matched_at_once():
    count = 250_001
    video = np.ones(count, dtype=int)
    video[[100_000, 150_000, count - 1]] = 0
    segments = np.tile([0.0, 10.0], (count, 1))
    truth = np.array([[0.0, 10], [0, 9], [0, 8]]), np.zeros(3, int), np.zeros(3, int)
    taken = match(*truth, segments, video, np.zeros(count, int), [0.5])[0]
    assert np.flatnonzero(taken >= 0).tolist() == [100_000, 150_000, count - 1]
    assert taken[[100_000, 150_000, count - 1]].tolist() == [0, 1, 2]


def test_without_ground_truth_there_is_no_class():
    none = np.empty((0, 2)), np.empty(0, int), np.empty(0, int)
    result = detection_ap(*none, np.array([[0.0, 1]]), np.zeros(1, int), np.zeros(1, int), np.ones(1), (0.3, 0.5))
    assert result.ap.shape == (2, 0) and result.map.tolist() == [0, 0] and result.tious.tolist() == [0.3, 0.5]
    assert classification_map(np.zeros((2, 3)), np.ones((2, 3))) == 0
