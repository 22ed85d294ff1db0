"""What Figures 2 to 5 and Figure 4 of the page show: the right numbers under the right names."""

import json
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from made_results import flat, settings
from matplotlib.colors import same_color
from safetensors.numpy import save_file

from clasnet.data.activitynet import write_activitynet
from clasnet.data.annotations import make_annotations
from clasnet.data.store import open_store, write_store
from clasnet.data.synthetic import draw_annotations, twin_videos
from clasnet.evaluation.attention import true_snippets
from clasnet.evaluation.replicates import mean_interval
from clasnet.models import checkpoint
from clasnet.models.clasnet import CLASNet
from clasnet.models.registry import build_baseline
from stages.drawing import contrast, gains, sweep, timeline
from stages.drawing.style import headline
from stages.figures import FIGURES
from stages.page import plots
from stages.results import SYNTHETIC

STUDY = SimpleNamespace(dataset="thumos14", baseline="acrnet", layers=[1, 3], heads=[4])


@pytest.fixture
def drawn():
    """An axis."""
    figure, axis = plt.subplots()
    yield axis
    plt.close(figure)


def legend_of(figure):
    """Label to handle in the figure's legend, as a reader pairs them."""
    (legend,) = figure.legends
    return dict(zip((text.get_text() for text in legend.get_texts()), legend.legend_handles, strict=True))


def test_a_headline_marks_synthetic_data_and_no_other():
    assert headline(settings(), "Gains") == f"Gains\n{SYNTHETIC}"
    assert headline(settings(synthetic=False), "Gains") == "Gains"


# Figure 2 -------------------------------------------------------------------------------------------------------------


def test_figure_2_reads_test_videos_before_and_after_the_fcsm(tmp_path, monkeypatch):
    made = draw_annotations(
        "thumos14", classes=3, train_videos=2, test_videos=3, snippets=(20, 30), rng=np.random.default_rng(0)
    )
    write_store(tmp_path / "data/thumos14", made, twin_videos(made, 2, 8, 0))
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    baseline = build_baseline("acrnet", num_classes=3, width=8, profile="demo", heads=2)
    model = CLASNet(baseline, fcsm={"heads": 2, "layers": 2}).eval()
    asked = []
    monkeypatch.setattr(checkpoint, "load_model", lambda path: asked.append(path) or model)
    before, after, action = contrast.test_snippets(settings(study=STUDY, all_seeds=[4, 5], threads=1))
    assert asked == ["models/thumos14/acrnet/clasnet/from4/seed4.pt"]
    store = open_store("data/thumos14")
    videos = store.subset("test")
    np.testing.assert_array_equal(before, np.concatenate([store.video(v) for v in videos]))
    with torch.inference_mode():
        outputs = [model(torch.from_numpy(store.video(v))[None]) for v in videos]
    np.testing.assert_allclose(after, np.concatenate([output.separated[0] for output in outputs]), atol=1e-6)
    expected = [true_snippets(store.annotations, v, store.length[v]) for v in videos]
    np.testing.assert_array_equal(action, np.concatenate(expected))


def test_figure_2_names_its_panels_and_its_groups(monkeypatch):
    rng = np.random.default_rng(0)
    action = np.arange(80) < 30
    before, after = (rng.normal(size=(80, 6)) + spread * action[:, None] for spread in (0.2, 4))
    monkeypatch.setattr(contrast, "test_snippets", lambda params: (before, after, action))
    figure = contrast.draw(settings(study=STUDY))
    try:
        for axis, name, features in zip(figure.axes, ("Input", "Separated"), (before, after), strict=True):
            ratio = contrast.fisher_ratio(features, action)
            assert axis.get_title().startswith(name) and axis.get_title().endswith(f"Fisher ratio {ratio:.2f}")
            points = contrast.first_two_components(features)
            shown = {dots.get_label(): dots for dots in axis.collections}
            for label, group in (("action", action), ("background", ~action)):
                assert sorted(map(tuple, shown[label].get_offsets())) == sorted(map(tuple, points[group]))
                assert same_color(legend_of(figure)[label].get_facecolor(), shown[label].get_facecolor())
        assert figure.get_suptitle().endswith("\n" + SYNTHETIC)
    finally:
        plt.close(figure)


def test_the_fisher_ratio_by_hand():
    """Directions 0° and 90° apart, each group with two that are equal: infinitely apart but for what is put beside."""
    features, action = np.array([[2.0, 0], [0, 3.0], [3.0, 4.0], [0, 1.0]]), np.array([True, False, True, False])
    rows = np.array([[1.0, 0], [0, 1], [0.6, 0.8], [0, 1]])
    means = rows[[0, 2]].mean(0), rows[[1, 3]].mean(0)
    within = 2 * ((rows[0] - means[0]) ** 2).sum() / 4
    assert contrast.fisher_ratio(features, action) == pytest.approx(((means[0] - means[1]) ** 2).sum() / within)


def test_figure_2_is_of_the_two_directions_that_differ_most():
    """The largest first, around their mean; no other is as large."""
    rng = np.random.default_rng(0)
    features = [10, 0, 0, 0, 0] + rng.normal(size=(200, 5)) * [0.1, 1, 3, 0.5, 2]
    points, rows = contrast.first_two_components(features), contrast.normalised(features)
    variances = np.linalg.eigvalsh(np.cov(rows.T))[::-1]
    np.testing.assert_allclose(points.var(0, ddof=1), variances[:2])
    np.testing.assert_allclose(points.mean(0), 0, atol=1e-12)
    assert variances[0] > 1.5 * variances[1] > 2 * variances[2]


def test_figure_2_draws_the_same_snippets_in_both_panels_and_not_too_many(monkeypatch):
    """Its ratio is of all snippets nevertheless."""
    action = np.arange(1600) % 3 == 0
    features = np.random.default_rng(0).normal(size=(1600, 4)) + np.where(action, 9, -9)[:, None]
    monkeypatch.setattr(contrast, "test_snippets", lambda params: (features, features, action))
    figure = contrast.draw(settings(study=STUDY))
    plt.close(figure)
    both = [np.concatenate([dots.get_offsets() for dots in axis.collections]) for axis in figure.axes]
    assert both[0].shape == (1500, 2) and np.array_equal(*both)
    ratio = f"Fisher ratio {contrast.fisher_ratio(features, action):.2f}"
    assert [axis.get_title().partition("\n")[2] for axis in figure.axes] == [ratio, ratio]


def test_a_figure_is_called_what_it_shows():
    assert list(FIGURES) == ["figure2", "figure3", "figure4", "figure5"]
    for name, module in FIGURES.items():
        assert module.__doc__.startswith(f"{name.replace('figure', 'Figure ')}: ")


# Figure 3 -------------------------------------------------------------------------------------------------------------


def test_figure_3_shows_gains_with_students_interval(results):
    results.write("co2net", "baseline", flat(20, 22, 24), seeds=(0, 1, 2))
    results.write("co2net", "clasnet", flat(25, 26, 31), seeds=(0, 1, 2))
    figure = gains.draw(settings(baselines=["co2net"], all_seeds=[0, 1, 2]))
    axis = figure.axes[0]
    plt.close(figure)
    dots, interval, mean, zero = (line.get_xdata() for line in axis.lines)
    assert list(dots) == pytest.approx([5, 4, 7]) and list(mean) == pytest.approx([16 / 3]) and list(zero) == [0, 0]
    assert list(interval) == pytest.approx(mean_interval([5, 4, 7]))
    assert [text.get_text() for text in axis.get_yticklabels()] == ["THUMOS14, CO2-Net"]
    assert [text.get_text() for text in axis.texts] == ["+5.3"] and "over 3 seeds" in axis.get_title()
    assert axis.get_ylim() == (0.6, -0.6)  # the first line is above
    assert axis.get_title().endswith("\n" + SYNTHETIC)


def test_the_forest_of_the_study_ends_with_all_cells():
    found = {"thumos14": {"delu": np.array([1.0, 2.0])}, "activitynet13": {"delu": np.array([5.0, 7.0])}}
    figure = gains.forest(found, "", (3.75, (3.0, 4.5)))
    axis = figure.axes[0]
    plt.close(figure)
    names = ["THUMOS14, DELU", "ActivityNet v1.3, DELU", "All cells"]
    assert [text.get_text() for text in axis.get_yticklabels()] == names
    assert {text.get_text().strip() for text in axis.texts} == {"+1.5", "+6.0", "+3.8"}
    diamond = axis.patches[0].get_xy()
    assert diamond[:4, 0].tolist() == [3.0, 3.75, 4.5, 3.75] and set(np.round(diamond[:4, 1])) == {2.0}


# Figure 4 -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def swept(results):
    results.write("acrnet", "baseline", flat(10, 12))
    results.write("acrnet", "clasnet", flat(60, 62))
    for name, value in (("layers-1", 20), ("layers-3", 30), ("heads-4", 40)):
        results.write("acrnet", name, flat(value, value + 1, value + 8), seeds=(0, 1, 2))


def test_figure_4_shows_each_number_of_layers_and_of_heads_and_the_bare_baseline(swept):
    """Over three seeds that no median or middle stands for."""
    figure = sweep.draw(settings(study=STUDY))
    plt.close(figure)
    panels = (("dilated layers L", ["1", "3"], [20, 30]), ("attention heads H", ["4"], [40]))
    for axis, (name, ticks, values) in zip(figure.axes, panels, strict=True):
        means, *dots, alone = (list(line.get_ydata()) for line in axis.lines if line.get_marker() not in ("_", "|"))
        assert means == pytest.approx([n + 3 for n in values]) and alone == pytest.approx([11, 11])
        np.testing.assert_allclose(dots, [[n, n + 1, n + 8] for n in values])
        assert axis.get_xlabel() == name and [text.get_text() for text in axis.get_xticklabels()] == ticks
        for low, high in (bar[:, 1] for bar in axis.collections[0].get_segments()):
            assert high - low == pytest.approx(2 * 19**0.5)
    legend, (means, *_, alone) = legend_of(figure), figure.axes[0].lines
    assert list(legend) == ["ACRNet alone", "with CLASNet, ± std"]
    for handle, line in zip(legend.values(), (alone, means), strict=True):
        assert same_color(handle.get_color(), line.get_color())


def test_figure_4_of_the_page(swept):
    found = plots.sweep(STUDY)
    assert found["alone"] == 11 and found["model"] == "ACRNet" and found["data"] == "THUMOS14"
    layers, heads = found["panels"]
    assert [point["n"] for point in layers["points"]] == [1, 3] and "layers" in layers["name"]
    (point,) = heads["points"]
    assert point == {"n": 4, "mean": 43, "spread": pytest.approx(19**0.5), "values": [40, 41, 48]}


def test_a_line_of_the_pages_forest_says_both_means(swept):
    found = plots.gain_line("thumos14", "acrnet")
    assert found["mean"] == 50 and found["values"] == [50, 50]
    assert found["text"] == "11.0 without, 61.0 with CLASNet; p – over seeds"


def test_a_line_of_the_pages_forest_is_at_the_mean_of_its_seeds(results):
    results.write("acrnet", "baseline", flat(20, 20, 20), seeds=(0, 1, 2))
    results.write("acrnet", "clasnet", flat(21, 22, 29), seeds=(0, 1, 2))
    assert plots.gain_line("thumos14", "acrnet")["mean"] == pytest.approx(4)


# Figure 5 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "profit"), [(2, -1), (3, 3), (12, 12), (13, -1)])
def test_neither_few_nor_many_segments_are_telling(count, profit):
    truth = np.array([[10.0 * n, 10.0 * n + 5] for n in range(count)])
    scene = timeline.Scene("a", 200.0, 0, truth, {"baseline": np.empty((0, 2)), "clasnet": truth})
    assert scene.profit == profit


@pytest.fixture
def filmed(results):
    """Beside the results' videos one with more instances and no gain, and one without; features of 60 s of each 64."""
    runs = [(10 * n, 10 * n + 5, "run") for n in range(4)]
    more = [{"id": id, "subset": "test", "duration": 64.0, "segments": own} for id, own in (("0", runs), ("d", []))]
    write_activitynet(results.folder / "truth.json", make_annotations(["jump", "run"], [*results.videos, *more]))
    results.dump("seconds.json", dict.fromkeys("0abd", 60.0))
    gained = {"label": "jump", "segment": (9, 21), "score": 0.9}
    for variant, found, curve in (("baseline", [], 0.2), ("clasnet", [gained], 0.8)):
        name = f"acrnet/{variant}"
        results.dump(f"{name}/seed0.json", {"results": dict.fromkeys("0bd", []) | {"a": found}})
        curves = {f"{id}/cas": np.full((100, 2), curve) for id in "0abd"}
        save_file(curves, results.folder / name / "curves0.safetensors")


def test_figure_5_is_of_the_video_that_gains_most(filmed):
    """Neither the first nor the one with most instances; its curves are over the seconds of the features."""
    figure = timeline.draw(settings(baselines=["acrnet"]))
    plt.close(figure)
    chosen = "a, jump: the one of 3 test videos where CLASNet gains most; the 3 best disjoint segments of each model"
    assert figure.get_suptitle() == f"{chosen}\n{SYNTHETIC}"
    curves = {line.get_label(): line for line in figure.axes[0].lines}
    assert list(curves) == ["ACRNet", "ACRNet + CLASNet"]
    for line, value in zip(curves.values(), (0.2, 0.8), strict=True):
        assert set(line.get_ydata()) == {value}
        np.testing.assert_allclose(line.get_xdata(), np.arange(0.3, 60, 0.6))


def test_a_scene_of_figure_5_is_of_one_class_and_shows_no_more_than_there_is():
    instances = [(10, 20, "run"), (25, 35, "jump"), (40, 50, "run")]
    video = {"id": "a", "subset": "test", "duration": 64.0, "segments": instances}
    truth = make_annotations(["jump", "run"], [video])
    found = [(11, 19), (15, 24), (41, 52), (55, 60)]  # best first; the second overlaps the first
    rows = [{"label": "run", "segment": segment, "score": 0.9 - n / 10} for n, segment in enumerate(found)]
    other = {"label": "jump", "segment": (25, 35), "score": 1.0}
    results = {"baseline": {"a": json.dumps([other])}, "clasnet": {"a": json.dumps([other, *rows])}}
    scene = timeline.make_scene(truth, 0, 64.0, results)
    assert scene.id == "a" and scene.label == 1 and scene.truth.tolist() == [[10, 20], [40, 50]]
    assert {name: shown.tolist() for name, shown in scene.found.items()} == {
        "baseline": [],
        "clasnet": [[11, 19], [41, 52]],
    }


def test_figure_5_shows_each_models_segments_in_its_row(drawn):
    truth = np.array([[0.0, 10], [20, 30], [40, 50]])
    found = {"baseline": np.array([[0.0, 9]]), "clasnet": np.array([[1.0, 11], [21, 30]])}
    timeline.draw_segments(drawn, timeline.Scene("a", 60.0, 0, truth, found), "acrnet")
    rows = [[list(path.vertices[[0, 2], 0]) for path in bars.get_paths()] for bars in drawn.collections]
    assert rows == [truth.tolist(), [[0, 9]], [[1, 11], [21, 30]]]
    names = dict(zip(drawn.get_yticks(), (text.get_text() for text in drawn.get_yticklabels()), strict=True))
    assert names == {0: "ground truth", -1: "ACRNet", -2: "with CLASNet"}
    (box,) = drawn.patches  # what CLASNet alone finds
    assert box.get_x() == pytest.approx(19.2) and box.get_width() == pytest.approx(11.6)


def test_figure_5_draws_each_models_activation_over_its_seconds(drawn):
    curves = {v: {"a/cas": np.full((4, 2), value)} for v, value in (("baseline", 0.25), ("clasnet", 0.75))}
    timeline.draw_activation(drawn, timeline.Scene("a", 8.0, 1, np.array([[2.0, 5]]), {}), "acrnet", curves)
    shown = {line.get_label(): line for line in drawn.lines}
    for name, value in (("ACRNet", 0.25), ("ACRNet + CLASNet", 0.75)):
        assert list(shown[name].get_ydata()) == [value] * 4 and list(shown[name].get_xdata()) == [1, 3, 5, 7]
    assert [(behind.get_x(), behind.get_width()) for behind in drawn.patches] == [(2, 3)]
