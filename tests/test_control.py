"""The controls beside Tables 1 to 3: random scores, and true classes in equal pieces."""

import json
import sys

import numpy as np

from clasnet.data.annotation_files import read_annotations
from clasnet.data.annotations import make_annotations
from clasnet.data.datasets import benchmark_of
from clasnet.data.store import Origin, write_store
from clasnet.evaluation.protocol import detection_results
from clasnet.localization.localize import localize
from clasnet.localization.settings import Localization
from stages import control
from stages.units import unit_path

TIOUS = benchmark_of("thumos14").tious


def test_equal_pieces_are_as_many_as_a_training_video_usually_has():
    segments = [(0, 1, "jump"), (2, 3, "jump"), (4, 5, "jump"), (6, 7, "run")]
    videos = [{"id": "a", "subset": "x", "duration": 12.0, "segments": segments}]
    truth = make_annotations(["jump", "run", "swim"], videos)
    assert control.usual_number(truth) == 2
    found = control.equal_pieces(truth, 2)
    assert found.segments.tolist() == [[0, 6], [6, 12]] * 2
    assert found.classes.tolist() == [0, 0, 1, 1] and found.video.tolist() == [0] * 4


def test_the_control_is_of_the_test_videos_and_reproduces_its_numbers(tmp_path, monkeypatch, capsys):
    """Its file against the same made in plain steps: random scores by seed, and pieces as training videos have them.

    A snippet is of half a second, so the 20 of each video end before the 12.8 s that are annotated.
    """
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    records = []
    for n in range(9):
        subset, actions = ("validation", 3) if n < 5 else ("test", 2)
        segments = [(3 * i, 3 * i + 2, "jump" if n % 2 else "run") for i in range(actions)]
        records.append({"id": f"v{n}", "subset": subset, "duration": 12.8, "segments": segments})
    annotations = make_annotations(["jump", "run"], records)
    features = [(f"v{n}", rng.random((20, 4))) for n in range(9)]
    write_store("data/thumos14", annotations, features, origin=Origin(rate=30, stride=15))
    unit = {"settings": {"seeds": [3, 4]}, "code": {}}
    path = unit_path("control")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(unit), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["control", "thumos14"])
    control.main()

    folder = tmp_path / "predictions/control/thumos14"
    found = json.loads((folder / "control.json").read_text(encoding="utf-8"))
    truth = annotations.select([5, 6, 7, 8])
    assert found["tious"] == list(TIOUS) and found["pieces"] == 3
    pieces = control.equal_pieces(truth, 3)
    assert (
        found["pieces_mAP"] == detection_results(pieces, truth, "thumos14").map.tolist() and found["pieces_mAP"][0] > 0
    )
    for seed in (3, 4):
        drawn = control.random_predictions(np.full(4, 20), 2, np.random.default_rng(seed), 0.5)
        assert found["mAP"][str(seed)] == detection_results(drawn, truth, "thumos14").map.tolist()
        assert 5 < drawn.segments.max() <= 10 and len(drawn.scores) > 20
        np.testing.assert_allclose(drawn.video_scores.sum(1), 1)
    assert found["mAP"]["3"] != found["mAP"]["4"]
    percent = 100 * np.mean([found["mAP"]["3"], found["mAP"]["4"]])
    assert f"average mAP {percent:.2f} % of random scores" in capsys.readouterr().out
    assert json.loads((folder / "seconds.json").read_text(encoding="utf-8")) == dict.fromkeys(truth.ids.tolist(), 10)
    assert read_annotations(folder / "truth.json").ids.tolist() == ["v5", "v6", "v7", "v8"]


def test_random_scores_localise_as_co2_net_does():
    """Every part of the draw counts: the scores of each video, of its snippets, and its attention, in that order."""
    rng, length = np.random.default_rng(5), np.array([12, 30])
    found = control.random_predictions(length, 3, np.random.default_rng(5), snippet_seconds=1.0)
    video_scores = rng.dirichlet(np.ones(3), 2)
    for v, n in enumerate(length):
        snippet, activity = rng.random((n, 3)), rng.random((n, 1))
        expected = localize(video_scores[v], snippet, activity, Localization(), snippet_seconds=1.0)
        own = found.video == v
        np.testing.assert_array_equal(found.segments[own], expected.segments)
        np.testing.assert_array_equal(found.classes[own], expected.classes)
        np.testing.assert_array_equal(found.scores[own], expected.scores)
    np.testing.assert_array_equal(found.video_scores, video_scores)
