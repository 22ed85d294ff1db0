"""The study over replicates: its statistics, how attentions are read, its stages."""

import itertools
import json

import numpy as np
import pytest
import torch
from made_results import write_trials
from pipeline import dvc, edit, make_clone, stage_here, tiny_profile
from scipy import stats

import stages.trial
import stages.trials
from clasnet.data.activitynet import write_activitynet
from clasnet.data.datasets import SNIPPET_SECONDS, benchmark_of
from clasnet.data.store import open_store, write_store
from clasnet.data.synthetic import draw_annotations, twin_videos
from clasnet.errors import InputError
from clasnet.evaluation import replicates
from clasnet.evaluation.attention import Reader, correlation, true_snippets
from clasnet.evaluation.protocol import detection_results
from clasnet.inference.predict import predict
from clasnet.models.brm import class_activation, scaled
from clasnet.models.clasnet import CLASNet, mix
from clasnet.models.registry import build_baseline
from stages import verdict
from stages.parallel import Place
from stages.results import SYNTHETIC
from stages.tabling.write import read_csv
from stages.trial import mixed_at, replicate_store, run_trial
from stages.trial_files import settings_digest
from stages.trials import done_folder, trial
from stages.twins import write_twin
from stages.verdict import LEVEL, Cell


def test_the_interval_is_students():
    values = [1.0, 2.0, 4.0, 3.5]
    low, high = replicates.mean_interval(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert low < np.mean(values) < high
    low, high = replicates.mean_interval([1.0, 3.0])  # Student's factor of one degree of freedom is tan(0.475 π)
    assert (low, high) == pytest.approx((2 - np.tan(0.475 * np.pi), 2 + np.tan(0.475 * np.pi)))
    assert np.isnan(replicates.mean_interval([1.0])).tolist() == [True, True]


def test_holm_by_hand():
    assert replicates.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert replicates.holm([0.9, 0.8]) == pytest.approx([1, 1])


def test_the_interquartile_mean_forgets_the_outer_quarters():
    assert replicates.interquartile_mean([[-1000, 1], [2, 3], [4, 5], [6, 900]]) == pytest.approx(3.5)


def test_the_bootstrap_draws_replicates_within_cells():
    gains = np.array([[0.0, 1.0], [10.0, 12.0]])
    every = [
        np.mean([a, b, c, d])
        for a, b in itertools.product((0, 1), repeat=2)
        for c, d in itertools.product((10, 12), repeat=2)
    ]
    low, high = replicates.stratified_bootstrap(gains, np.mean, resamples=4000)
    assert (low, high) == pytest.approx((min(every), max(every)), abs=0.26)
    assert replicates.stratified_bootstrap([[3.0, 3.0], [5.0, 5.0]], np.mean, resamples=10) == (4.0, 4.0)


def test_the_bootstrap_is_the_same_again_and_has_its_quantiles():
    gains = np.random.default_rng(1).normal(size=(3, 8))
    found = replicates.stratified_bootstrap(gains, np.mean, resamples=2000)
    assert found == replicates.stratified_bootstrap(gains, np.mean, resamples=2000)
    drawn = np.random.default_rng(0).integers(8, size=(2000, 3, 8))
    means = np.array([[row[i] for row, i in zip(gains, one, strict=True)] for one in drawn]).mean((1, 2))
    assert found == pytest.approx(np.quantile(means, [0.025, 0.975]))
    narrow = replicates.stratified_bootstrap(gains, np.mean, resamples=2000, coverage=0.5)
    assert narrow == pytest.approx(np.quantile(means, [0.25, 0.75]))


def test_the_probability_of_improvement_compares_all_runs_of_a_cell():
    before, after = np.array([[1.0, 3.0], [0.0, 0.0]]), np.array([[2.0, 3.0], [0.0, 1.0]])
    assert replicates.probability_of_improvement(before, after) == pytest.approx(((1 + 0 + 1 + 0.5) / 4 + 0.75) / 2)


def test_the_smallest_visible_gain_is_seen_four_times_in_five():
    rng, count = np.random.default_rng(0), 10
    gain = replicates.smallest_visible_gain(2.0, count)
    draws = rng.normal(gain, 2.0, (4000, count))
    assert (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.03)
    for count, power in ((4, 0.8), (16, 0.9)):  # few, where a degree of freedom counts, against the definition
        gain = replicates.smallest_visible_gain(1.0, count, power=power)
        limit = stats.t.ppf(0.975, count - 1)
        assert stats.nct.sf(limit, count - 1, gain * count**0.5) == pytest.approx(power)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twin") / "thumos14"
    drawn = draw_annotations(
        "thumos14", classes=3, train_videos=3, test_videos=5, snippets=(40, 60), rng=np.random.default_rng(0)
    )
    write_store(folder, drawn, twin_videos(drawn, 2, 8, 0))
    return open_store(folder)


@pytest.fixture
def reader(store):
    torch.manual_seed(0)
    baseline = build_baseline("co2net", num_classes=3, width=8, dataset="thumos14")
    model = CLASNet(baseline, fcsm={"heads": 2, "layers": 2, "beta": 0.3}, brm={})
    return Reader(model, store, store.subset("test"), 50)


def test_true_snippets_have_their_middle_in_a_segment(store):
    v, length = 0, store.length[0]
    segments = store.annotations.segments[store.annotations.segment_video == v]
    expected = [any(a <= (t + 0.5) * SNIPPET_SECONDS < b for a, b in segments) for t in range(length)]
    assert true_snippets(store.annotations, v, length).tolist() == expected and any(expected)


def test_reading_once_localises_as_predicting_does(reader, store):
    found, expected = reader.predictions(), predict(reader.model, store, reader.videos, 50)
    for name in ("video", "segments", "classes", "scores"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))


def test_a_mix_is_the_models_own_at_its_beta(reader):
    output = reader.outputs[0]
    own, separation = output.baseline.attention, output.separation
    assert torch.equal(mixed_at(0.3, 0, output), output.attention)
    assert torch.equal(mix(own, separation, 0.0), own) and torch.equal(mix(own, separation, 1.0), scaled(separation))


def test_truth_in_place_of_the_attention_localises_better(reader):
    attention = reader.average("thumos14", attention=reader.true_attention)
    labels = reader.average("thumos14", labels=True)
    both = reader.average("thumos14", attention=reader.true_attention, labels=True)
    assert (
        both > 60 and both > attention > reader.average("thumos14") and both > labels
    )  # an untrained one knows neither


def test_correlations_are_those_with_the_truth(reader):
    found = reader.correlations()
    assert found.keys() == {"a", "q", "A"}
    labels = [torch.from_numpy(reader.store.annotations.labels[v]).float()[None] for v in reader.videos]
    pairs = list(zip(reader.outputs, labels, strict=True))
    for name, attentions in {
        "a": [output.baseline.attention for output in reader.outputs],
        "q": [class_activation(output.cas, own) for output, own in pairs],
        "A": [output.separation for output in reader.outputs],
    }.items():
        values = np.concatenate([attention[0].numpy() for attention in attentions])
        assert found[name] == pytest.approx(np.corrcoef(values, np.concatenate(reader.truth))[0, 1]), name
    assert len(set(found.values())) == 3
    assert correlation(np.array([1.0, 1.0]), np.array([True, False])) == 0


def test_a_twin_lies_over_the_annotations_that_are_named(tmp_path, store):
    twin = {"seed": 3, "width": 8, "groups": 2, "classes": 9, "train_videos": 9, "test_videos": 9, "snippets": [5, 6]}
    write_activitynet(tmp_path / "known.json", store.annotations)
    write_twin(tmp_path / "over", "thumos14", twin, tmp_path / "known.json")
    write_twin(tmp_path / "drawn", "thumos14", twin)
    write_twin(tmp_path / "other", "thumos14", twin | {"seed": 4})
    over, drawn, other = (open_store(tmp_path / name).annotations for name in ("over", "drawn", "other"))
    assert np.array_equal(over.segments, store.annotations.segments) and len(over.ids) == 8
    assert len(drawn.ids) == len(other.ids) == 18
    assert not np.array_equal(drawn.segments, other.segments)  # another seed draws the annotations, too, anew


# Trials ---------------------------------------------------------------------------------------------------------------


def test_a_trial_is_of_the_test_videos_at_each_share_of_a(reader, store, monkeypatch):
    """What it tells of a network is what evaluating it with that β gives; it trains by its settings, from its seed."""
    asked = []
    monkeypatch.setattr(stages.trial, "train_model", lambda *given, **how: asked.append((given, how)) or reader.model)
    settings = {"dataset": "thumos14", "baseline": "co2net", "segments": 50, "clasnet": {"fcsm": {}}}
    found = run_trial(store, settings, 7, [0.2, 0.9], device="cpu")
    assert asked == [((store, "thumos14", "co2net", settings, 7), {"device": "cpu"})]
    test = store.subset(benchmark_of("thumos14").test)
    truth = store.annotations.select(test)
    assert found["videos"] == len(test) == 5 and list(found["maps"]) == ["0.2", "0.9"]
    for beta in (0.2, 0.9):
        reader.model.beta = beta
        expected = detection_results(predict(reader.model, store, test, 50), truth, "thumos14")
        assert found["maps"][f"{beta:g}"] == pytest.approx(100 * expected.map)
    assert found["maps"]["0.2"] != found["maps"]["0.9"]
    own = Reader(reader.model, store, test, 50).correlations()
    assert found["correlation"] == own
    plain = run_trial(store, settings | {"clasnet": {"brm": {}}}, 7, [0.2, 0.9])
    assert list(plain["maps"]) == ["0"]  # without an FCSM there is no A


def test_every_replicate_is_a_draw_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(stages.trial, "STORES", tmp_path / "replicates")
    twin = {"seed": 2, "width": 8, "groups": 2, "classes": 3, "train_videos": 3, "test_videos": 3, "snippets": [9, 12]}
    for replicate in (0, 4):
        found = replicate_store("thumos14", twin, replicate)
        write_twin(tmp_path / f"{replicate}", "thumos14", twin | {"seed": 2 + 3 * replicate})
        assert np.array_equal(found.features, open_store(tmp_path / f"{replicate}").features)
    again = replicate_store("thumos14", twin | {"test_videos": 4}, 4)  # another twin under the same number
    assert len(again.length) == 7 and np.array_equal(replicate_store("thumos14", twin, 4).features, found.features)
    sizes = {"classes": 3, "train_videos": 4, "test_videos": 3, "snippets": (9, 12)}
    known = draw_annotations("thumos14", **sizes, rng=np.random.default_rng(5))
    write_activitynet(tmp_path / "known.json", known)
    over = replicate_store("thumos14", twin, 4, str(tmp_path / "known.json"))
    assert sorted(over.annotations.ids.tolist()) == sorted(known.ids.tolist()) and len(over.length) == 7
    assert len(replicate_store("thumos14", twin, 4).length) == 6
    monkeypatch.setattr(stages.trial, "code_of", lambda modules: {"stages.twins": "of another generator"})
    before = set((tmp_path / "replicates").iterdir())
    replicate_store("thumos14", twin, 4)
    assert len({path.name for path in (tmp_path / "replicates").iterdir()}) > len(before)


def test_a_trial_has_the_draw_and_the_seed_of_its_replicate(tmp_path, monkeypatch):
    asked = []

    def drawn(dataset, twin, replicate, annotations):
        return dataset, twin, replicate, annotations

    def ran(store, train, replicate, betas, **how):
        asked.append((store, train, replicate, betas, how["cache"]))
        return drawn_trials([replicate], 7, False)["0"]

    monkeypatch.setattr(stages.trials, "replicate_store", drawn)
    monkeypatch.setattr(stages.trials, "run_trial", ran)
    variants = {name: {"train": name, "betas": [n]} for n, name in enumerate(("baseline", "C"))}
    settings = {"dataset": "d", "twin": "t", "annotations": "a", "variants": variants, "replicates": [5, 6]}
    found = stages.trials.trial(("C", 6), Place("cpu", 1), tmp_path, settings, "ram")
    assert asked == [(("d", "t", 6, "a"), "C", 6, [1], "ram")] and found["maps"] == {"0": [36.0] * 7}
    assert json.loads((tmp_path / "C-6.json").read_text(encoding="utf-8")) == found


def test_trials_that_are_done_are_of_their_settings_and_code():
    unit = {"settings": {"a": 1}, "code": {"m": "1"}}
    others = unit, unit | {"settings": {"a": 2}}, unit | {"code": {"m": "2"}}
    assert len({done_folder("thumos14/delu", each) for each in others}) == 3


# Stages ---------------------------------------------------------------------------------------------------------------


def tiny_study(profile):
    profile = tiny_profile(profile)
    profile["trials"] = {"first": 1, "replicates": 2, "rows": ["B", "C-plain"], "ablated": ["acrnet"]}
    return profile


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = make_clone(tmp_path_factory.mktemp("study"))
    edit(folder / "profiles/study.yaml", tiny_study)
    return folder


def test_the_trials_of_a_cell(clone):
    stage_here(clone, "check")
    path = clone / "reports/study/trials/thumos14-acrnet.json"
    stage_here(clone, "trials", "thumos14/acrnet")
    whole = path.read_bytes()
    file = json.loads(whole)
    found = file["trials"]
    unit = json.loads((clone / "data/units/trials/thumos14/acrnet.json").read_text(encoding="utf-8"))
    assert file["cell"] == "thumos14/acrnet" and file["settings"] == settings_digest(unit["settings"])
    assert list(found) == ["baseline", "clasnet", "B", "C-plain"] and list(found["clasnet"]) == ["1", "2"]
    assert found["clasnet"]["1"]["maps"].keys() == {"0", "0.7", "1"} and found["B"]["1"]["maps"].keys() == {"0"}
    draws = {json.dumps(found["baseline"][n]) for n in ("1", "2")}
    assert len(draws) == 2  # another draw and another seed
    path.unlink()
    stage_here(clone, "trials", "thumos14/acrnet")
    assert path.read_bytes() == whole


def test_a_damaged_trial_that_is_done_is_named(tmp_path):
    (tmp_path / "clasnet-7.json").write_text('{"maps": {"0": [30.0', encoding="utf-8")
    with pytest.raises(InputError, match="clasnet-7.json: not JSON"):
        trial(("clasnet", 7), None, tmp_path, {}, "ram")


def test_a_trial_that_is_done_is_not_run_again(clone):
    """A run that was stopped left one result, marked here; another one is of other settings."""
    stage_here(clone, "check")
    unit = json.loads((clone / "data/units/trials/thumos14/acrnet.json").read_text(encoding="utf-8"))
    for of, mark in ((unit, 5), (unit | {"settings": {}}, 6)):
        folder = clone / done_folder("thumos14/acrnet", of)
        folder.mkdir(parents=True)
        kept = drawn_trials([0, mark], 7, True)["1"]
        (folder / "clasnet-1.json").write_text(json.dumps(kept), encoding="utf-8")
    stage_here(clone, "trials", "thumos14/acrnet")
    path = clone / "reports/study/trials/thumos14-acrnet.json"
    found = json.loads(path.read_text(encoding="utf-8"))["trials"]
    assert found["clasnet"]["1"] == drawn_trials([0, 5], 7, True)["1"] and "maps" in found["clasnet"]["2"]
    assert not (clone / "data/trials/thumos14/acrnet").exists()


def test_the_study_stands_apart_from_the_pipeline(clone):
    listed = dvc(clone, "stage", "list")
    assert "trials" not in listed and "trials@thumos14-acrnet" in dvc(clone, "stage", "list", "study/dvc.yaml")


def test_a_share_that_was_not_tried_is_no_other_one(tmp_path, monkeypatch):
    monkeypatch.setattr("stages.verdict.FOLDER", tmp_path)
    found = {"baseline": drawn_trials([0, 1], 7, False), "clasnet": drawn_trials([1, 2], 7, True)}
    write_trials(tmp_path / "trials", "thumos14/delu", found)
    assert Cell("thumos14", "delu", "s", 0.7).gains().tolist() == pytest.approx([1, 1])
    with pytest.raises(
        InputError, match="thumos14-delu.json: clasnet 0: its shares of A are 0, 0.7, 1; `git checkout`"
    ):
        Cell("thumos14", "delu", "s", 0.3)


def test_a_replicate_without_a_gain_is_no_better(tmp_path, monkeypatch):
    monkeypatch.setattr("stages.verdict.FOLDER", tmp_path)
    found = {"baseline": drawn_trials([0] * 3, 7, False), "clasnet": drawn_trials([0, 1, 3], 7, True)}
    write_trials(tmp_path / "trials", "thumos14/delu", found)
    (row,) = verdict.gain_rows([Cell("thumos14", "delu", "s", 0.7)])
    assert row["better in"] == "2 of 3"


BASELINES, DATASETS = ("co2net", "delu", "acrnet"), {"thumos14": 7, "activitynet12": 10, "activitynet13": 10}


def drawn_trials(gains, tious, mixes):
    """Trials of one variant: flat mAP curves of 30 + a gain for every replicate, one point less at β = 0, two at 1."""
    shares = {"0": -1, "0.7": 0, "1": -2} if mixes else {"0": 0}
    correlation = {"a": 0.5, "q": 0.25, "A": 0.75} if mixes else {"a": 0.4, "q": 0.3}
    others = {"correlation": correlation, "videos": 9}
    return {
        str(n): {"maps": {b: [30 + gain + less] * tious for b, less in shares.items()}} | others
        for n, gain in enumerate(gains)
    }


def test_the_verdict_by_hand(clone):
    stage_here(clone, "check")
    folder = clone / "reports/study/trials"
    for dataset, tious in DATASETS.items():
        for baseline in BASELINES:
            gains = [-3.2, -2.0, -2.6, -2.2] if baseline == "delu" else [1.0, 2.0, 3.0, 6.0]
            if (dataset, baseline) == ("activitynet13", "acrnet"):
                gains = [3.2, 2.0, 2.6, 2.2]
            found = {"baseline": drawn_trials([0] * 4, tious, False), "clasnet": drawn_trials(gains, tious, True)}
            if (dataset, baseline) == ("thumos14", "acrnet"):
                found |= {"B": drawn_trials([-1, -1, -2, 0], tious, False)}
                found |= {"C-plain": drawn_trials([4, 4, 5, 3], tious, True)}
            unit = json.loads((clone / f"data/units/trials/{dataset}/{baseline}.json").read_text(encoding="utf-8"))
            write_trials(folder, f"{dataset}/{baseline}", found, settings_digest(unit["settings"]))
    stage_here(clone, "verdict")
    tables = clone / "reports/study/tables"
    rows = {row["Data"] + row["Method"]: row for row in read_csv(tables / "gains.csv")}
    row = rows["THUMOS14CO2-Net"]
    low, high = replicates.mean_interval([1.0, 2.0, 3.0, 6.0])
    assert row["without"] == "30.0 ± 0.0" and row["with CLASNet"] == "33.0 ± 2.2"
    assert row["gain (95 % interval)"] == f"+3.0 ({low:+.1f} to {high:+.1f})" and row["better in"] == "4 of 4"
    assert rows["ActivityNet v1.2DELU"]["gain (95 % interval)"].startswith("-2.5 (-3.3 to -1.7)")
    assert rows["ActivityNet v1.2DELU"]["better in"] == "0 of 4"
    p = [stats.ttest_1samp(values, 0).pvalue for values in ([1, 2, 3, 6], [3.2, 2, 2.6, 2.2])]
    assert row["p (Holm)"] == f"{5 * p[0]:.3f}"  # 4 of the 9 are smaller, and cost a factor each
    assert rows["ActivityNet v1.2DELU"]["p (Holm)"] == f"{9 * p[1]:.3f}"
    visible = replicates.smallest_visible_gain(np.std([1, 2, 3, 6], ddof=1), 4, LEVEL)
    assert row["smallest visible"] == f"{visible:.1f}"
    table1 = {row["Method"]: row for row in read_csv(tables / "table1.csv")}
    assert table1["CO2-Net"]["0.5"] == "30.0 ± 0.0" and table1["CO2-Net + CLASNet"]["AVG 0.1:0.7"] == "33.0 ± 2.2"
    assert read_csv(tables / "table3.csv")[5]["0.75"] == "32.5 ± 0.5"
    gains = {float(row["gain"]) for row in read_csv(tables / "replicates.csv") if row["Method"] == "CO2-Net"}
    assert gains == {1, 2, 3, 6}
    overall = {row["What"]: row["All cells"] for row in read_csv(tables / "overall.csv")}
    up, down = [1, 2, 3, 6], [-3.2, -2, -2.6, -2.2]
    gains = np.array([up, down, up] * 2 + [up, down, [3.2, 2, 2.6, 2.2]])  # the order of the cells
    for coverage, name in ((0.95, "95"), (1 - 0.05 / 3, "98.3")):
        cell = overall[f"mean gain ({name} % interval)"]
        low, high = replicates.stratified_bootstrap(gains, np.mean, coverage=coverage)
        assert cell == f"+1.1 ({low:+.1f} to {high:+.1f})"
    low, high = replicates.stratified_bootstrap(gains, replicates.interquartile_mean)
    middle = replicates.interquartile_mean(gains)
    assert overall["interquartile mean of the gains (95 % interval)"] == f"{middle:+.1f} ({low:+.1f} to {high:+.1f})"
    assert overall["probability of improvement"] == "0.67" and overall["cells with a positive mean"] == "6 of 9"
    assert overall["cells that lose (p < 0.05, Holm)"] == "3 of 9"  # each p is 0.023
    assert overall["cells that gain (p < 0.017, Holm)"] == "0 of 9"  # one p is 0.023 and would count at 0.05
    table4 = {row["Row"]: row for row in read_csv(tables / "table4.csv")}
    assert list(table4) == ["A", "B", "C′", "H"] and table4["A"]["ACRNet"] == "30.0 ± 0.0"
    assert table4["B"]["ACRNet"].startswith("-1.0 (") and table4["C′"]["ACRNet"].startswith("+4.0 (")
    assert table4["C′"]["FCSM"] == "no contrast" and table4["H"]["ACRNet"].startswith("+3.0 (")
    attention = read_csv(tables / "attention.csv")[0]
    assert [attention[key] for key in ("r, a alone", "r, a", "r, q", "r, A")] == ["0.40", "0.50", "0.25", "0.75"]
    assert attention["β = 0"].startswith("+2.0 (") and attention["β = 1"].startswith("+1.0 (")


def test_the_verdict_draws_the_gains_with_their_beta(tmp_path, monkeypatch):
    """Two cells of three replicates; the figure is of the shares of A that count, and is marked as synthetic."""
    values = {"delu": [1.0, 2.0, 6.0], "acrnet": [-2.0, 1.0, 1.0]}
    for baseline, gains in values.items():
        found = {"baseline": drawn_trials([0] * 3, 7, False), "clasnet": drawn_trials(gains, 7, True)}
        write_trials(tmp_path / "trials", f"thumos14/{baseline}", found)
    cells, drawn = [["thumos14", baseline, "s"] for baseline in values], []
    monkeypatch.setattr(verdict, "FOLDER", tmp_path)
    monkeypatch.setattr(verdict, "read_settings", lambda stage: {"cells": cells, "beta": 0.7, "dataset": "thumos14"})
    monkeypatch.setattr(verdict, "forest", lambda *given: drawn.append(given))
    monkeypatch.setattr(verdict, "save", lambda figure, folder, name: None)
    verdict.main()
    ((found, title, (mean, interval)),) = drawn
    for baseline, gains in values.items():
        assert found["thumos14"][baseline].tolist() == pytest.approx(gains)
    assert mean == pytest.approx(1.5)
    assert interval == pytest.approx(replicates.stratified_bootstrap(list(values.values()), np.mean, coverage=0.95))
    captions = [path.read_text(encoding="utf-8").split("\n")[0] for path in (tmp_path / "tables").glob("*.md")]
    assert len(captions) == 4 and all("; 3 replicates, " in caption for caption in captions)
    assert "95 % interval and values of 3 replicates" in title
    assert all(SYNTHETIC in caption for caption in [*captions, title])
