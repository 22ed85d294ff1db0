"""Models, trainings and localisations that are odd in ways that used to pass: one sharp test a kind."""

import numpy as np
import pytest
import torch
from torch import nn

from clasnet import Baseline, CLASNet, Output, Scores, build_baseline, localize_video, register_baseline, save_model
from clasnet.errors import InputError
from clasnet.evaluation.protocol import evaluation_units
from clasnet.localization.localize import localize
from clasnet.localization.settings import Localization
from clasnet.localization.soft_nms import soft_nms
from clasnet.models.checkpoint import load_model, unusable
from clasnet.models.registry import build_model, import_extensions
from clasnet.training.loop import train
from stages.evaluate import another

# Models ---------------------------------------------------------------------------------------------------------------


def test_numbers_that_are_stored_once_are_no_weights():
    assert unusable(torch.zeros(1).expand(10**12)) == "is not stored as plain numbers"
    assert not unusable(torch.zeros(4, 3).t())


def test_soft_nms_of_the_narrowest_gaussian_ends_in_numbers():
    """Its factors would be 0, and 0 times the score of an empty slot, -inf, NaN."""
    start, end = np.array([0, 0, 20, 20, 40]), np.array([10, 10, 30, 30, 50])
    scores, group = np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([0, 0, 0, 0, 1])
    lowered = soft_nms(start, end, scores, group, 1e-6)
    np.testing.assert_allclose(lowered, [0.9, 0, 0.7, 0, 0.5], atol=1e-12)


def test_a_model_of_another_name_is_told_apart():
    baseline = {"name": "acrnet", "num_classes": 2, "dataset": "thumos14", "width": 8}
    fcsm, brm = {"layers": 2, "heads": 2, "weight": 0.5}, {"weight": 2.0}
    bare, whole = build_model(baseline).recipe, build_model(baseline, {"fcsm": fcsm, "brm": brm}).recipe
    own = {part: dict(settings) for part, settings in whole["clasnet"].items() if part in ("fcsm", "brm")}
    del own["fcsm"]["beta"]  # which is not trained
    own["ramp"] = whole["clasnet"]["ramp"]
    plain = {"width": 8, "heads": 4}

    def misfit(recipe, dataset, baseline, clasnet, network=plain):
        return another(recipe, dataset, baseline, clasnet, network)

    assert misfit(whole, "thumos14", "acrnet", own) == misfit(bare, "thumos14", "acrnet", None) == ""
    assert misfit(bare, "hacs", "acrnet", None) == "its baseline is acrnet of thumos14, not acrnet of hacs"
    assert misfit(bare, "thumos14", "delu", None) == "its baseline is acrnet of thumos14, not delu of thumos14"
    assert misfit(bare, "thumos14", "acrnet", None, plain | {"heads": 2}) == "its acrnet has heads 4, not 2"
    assert "its CLASNet has fcsm None, not {'layers': 2" in misfit(bare, "thumos14", "acrnet", own)
    assert "its CLASNet has fcsm {'layers': 2" in misfit(whole, "thumos14", "acrnet", None)
    other = own | {"fcsm": own["fcsm"] | {"layers": 3}}
    assert "'layers': 2" in misfit(whole, "thumos14", "acrnet", other)
    assert misfit(whole, "thumos14", "acrnet", own | {"sparsity": {"weight": 0.1}}).endswith("not {'weight': 0.1}")


def test_extensions_lie_below(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match=r"\.\./there: extensions are imported by name, so they must lie below"):
        import_extensions("../there")
    (tmp_path / "here/odd").mkdir()
    (tmp_path / "here/odd/oddly_named.py").write_text("raise ValueError('was run')", encoding="utf-8")
    with pytest.raises(InputError, match=r"odd/oddly_named.py: ValueError: was run"):
        import_extensions(tmp_path / "here/odd")  # an absolute path will do


WRONG_FILES = [
    ({"classes": ("a",)}, "not written: 1 class names of 2 classes"),
    ({"classes": ("a", "a")}, "not written: 1 class names of 2 classes"),
    ({"num_segments": 0}, "settings: the file: num_segments 0, expected a whole number from 1 on"),
    ({"num_segments": 2.5}, "settings: the file: num_segments 2.5, expected a whole number from 1 on"),
]


@pytest.mark.parametrize(("changes", "line"), WRONG_FILES)
def test_what_could_not_be_read_again_is_not_written(tmp_path, changes, line):
    model = build_baseline("acrnet", num_classes=2, width=8)
    with pytest.raises(InputError, match=f"m.pt: {line}"):
        save_model(tmp_path / "m.pt", model, **{"classes": ("a", "b"), "num_segments": 9} | changes)
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(InputError, match="m.pt: not written: .* holds NaN or infinity"):
        save_model(tmp_path / "m.pt", model, classes=("a", "b"), num_segments=9)
    assert not list(tmp_path.iterdir())


def test_a_model_that_is_no_longer_what_was_built_is_not_written(tmp_path):
    """It could not be built again."""
    model = build_baseline("acrnet", num_classes=2, width=8)
    model.more = nn.Linear(2, 2)
    for classes, line in (
        (("a", "b"), "m.pt: not written: more.weight is unexpected"),
        ({"a", "b"}, "m.pt: classes = "),
    ):
        with pytest.raises(InputError, match=line):
            save_model(tmp_path / "m.pt", model, classes=classes, num_segments=9)
    beyond = CLASNet(build_baseline("acrnet", num_classes=2, width=8), fcsm={"heads": 2})
    beyond.beta = 1.5
    with pytest.raises(InputError, match="fcsm.beta = 1.5: must be a number from 0 to 1"):
        save_model(tmp_path / "m.pt", beyond, classes=("a", "b"), num_segments=9)
    assert not list(tmp_path.iterdir())


def test_clasnet_goes_around_a_baseline():
    model = CLASNet(build_baseline("acrnet", num_classes=2, width=8), fcsm={"heads": 2})
    for wrong in (model, "acrnet"):
        with pytest.raises(InputError, match="CLASNet goes around a baseline, of build_baseline, not around a"):
            CLASNet(wrong, fcsm={"heads": 2})
    for settings, line in (({"fcsm": True}, "fcsm = True: must be a dict"), ({"ramp": 0.2}, "ramp = 0.2: must be two")):
        with pytest.raises(InputError, match=line):
            CLASNet(model.baseline, **settings)


def test_what_is_no_baseline_is_not_registered():
    for title, line in (("ACRNet", "the title 'ACRNet' is taken; give it another one"), ("\x1b[2J", "the title '")):
        with pytest.raises(InputError, match=f"baseline 'mine': {line}"):
            register_baseline("mine", Baseline, title=title)
    for name in ("", "a/b", "my net", "x:y"):
        with pytest.raises(InputError, match="its name is one of folders and stages: letters, digits and _"):
            register_baseline(name, Baseline)
    for wrong in (nn.Linear, "a.module:Class", None):
        with pytest.raises(InputError, match="baseline 'mine': .* is no subclass of clasnet.Baseline"):
            register_baseline("mine", wrong)
    with pytest.raises(InputError, match="baseline acrnet: num_classes = 0: must be a whole number from 1 to 65536"):
        build_baseline("acrnet", num_classes=0, width=8)
    with pytest.raises(InputError, match=r"ramp = \[0.5, 0.25\]: must not fall"):
        CLASNet(build_baseline("acrnet", num_classes=2, width=8), brm={}, ramp=(0.5, 0.25))


# Arguments ------------------------------------------------------------------------------------------------------------


def test_a_loss_of_the_baseline_does_not_vanish_under_one_of_clasnet():
    class Sparse(type(build_baseline("acrnet", num_classes=2, width=8))):
        def losses(self, output, labels, progress):
            return {"sparsity": output.attention.mean()}

    model = CLASNet(Sparse(2, 8), sparsity={})
    with pytest.raises(InputError, match="the name of CLASNet's own: sparsity; give them another one"):
        model.losses(model(torch.rand(2, 12, 16)), torch.eye(2), 0.5)


WRONG_TRAININGS = [
    ({"schedule": "Cosine"}, "schedule = 'Cosine': must be one of constant, cosine"),
    ({"precision": "fp16"}, "precision = 'fp16': must be one of float32, tf32, bf16"),
    ({"steps": 0}, "steps = 0: must be a whole number from 1 on"),
    ({"steps": 2.5}, "steps = 2.5: must be a whole number from 1 on"),
    ({"lr": 0}, "lr = 0: must be a number above 0"),
    ({"weight_decay": -1}, "weight_decay = -1: must be a number from 0 on"),
]


@pytest.mark.parametrize(("change", "line"), WRONG_TRAININGS)
def test_a_training_of_unknown_settings_is_refused(change, line):
    with pytest.raises(InputError, match=f"^{line}$"):
        train(None, None, **{"steps": 2, "lr": 1e-3, "weight_decay": 0.0} | change)


WRONG_LOCALIZATIONS = [
    {"nms_iou": "Pixel"},
    {"units": "snippet"},
    {"nms_sigma": 0},
    {"num_thresholds": 0},
    {"margin": -1},
    {"thresholds": (10, 90)},
    {"thresholds": (0.1, 0.5, 5)},
    {"frames_per_snippet": 2.5},
    {"frames_per_snippet": 0},
    {"video_weight": float("nan")},
    {"nms_min_iou": 2},
    {"strict": "no"},
    {"nms_sigma": "0.3"},
]


@pytest.mark.parametrize("change", [*WRONG_LOCALIZATIONS, {"thresholds": (0.9, 0.1)}])
def test_a_localisation_of_unknown_settings_is_refused(change):
    with pytest.raises(InputError, match=f"^{next(iter(change))} = .*: must be "):
        Localization(**change)


def test_a_number_of_numpy_is_called_one():
    with pytest.raises(InputError, match="^margin = .*0.5.*: must be a number from 0 on, of Python and not of NumPy$"):
        Localization(margin=np.float64(0.5))
    with pytest.raises(InputError, match="^margin = -1: must be a number from 0 on$"):
        Localization(margin=-1)


def test_a_video_that_was_cut_down_keeps_its_times_without_frames():
    """ACRNet cuts to frames; a network of one's own may not."""
    activity = np.zeros((10, 1))
    activity[4:6] = 1
    found = localize(np.array([1.0]), activity, activity, Localization(), num_snippets=100)
    assert found.segments[found.scores.argmax()].tolist() == [25.6, 38.4]


def test_whole_snippets_are_those_of_the_released_code():
    """Of features of another cadence they would be no grid at all."""
    snippets = build_baseline("co2net", num_classes=2, width=8).localization
    assert snippets.units == "snippets" and evaluation_units("released", snippets, "thumos14") == "snippets"
    assert evaluation_units("released", snippets, "thumos14", 0.5) == "seconds"
    with pytest.raises(InputError, match=r"evaluate.units = 'snippets': whole snippets are of 0.64 s, .* of 0.5 s"):
        evaluation_units("snippets", snippets, "thumos14", 0.5)
    activity = np.zeros((20, 1))
    activity[4:9] = 1  # to 2.88 s of snippets of 0.32 s
    for each, kept in ((0.64, True), (0.32, False)):  # rounded to whole snippets of 0.64 s it is empty
        how = {"ambiguous": np.array([[2.7, 2.85]]), "snippet_seconds": each}
        assert bool(len(localize(np.array([1.0]), activity, activity, snippets, **how).scores)) is kept


SCORES = {"video": np.ones(2), "snippet": np.ones((5, 2)), "activity": np.ones((5, 1))}
WRONG_SCORES = [
    (
        {"video": np.ones((1, 2))},
        r"video, snippet and activity are \(\(1, 2\), \(5, 2\), \(5, 1\)\), not \[C\], \[N, C\] and",
    ),
    ({"video": np.ones(3)}, r"video, snippet and activity are \(\(3,\)"),
    ({"snippet": np.ones((0, 2)), "activity": np.ones((0, 1))}, "video, snippet and activity are"),
    ({"activity": np.ones(5)}, "video, snippet and activity are"),
    ({"activity": np.ones((5, 2))}, r"video, snippet and activity are .*, not \[C\], \[N, C\] and \[N, 1\]"),
    ({"activity": np.full((5, 1), np.nan)}, "activity scores hold NaN or infinity"),
    ({"snippet": np.full((5, 2), np.inf)}, "snippet scores hold NaN or infinity"),
]


@pytest.mark.parametrize(("changes", "line"), WRONG_SCORES)
def test_what_are_no_scores_is_not_localised(changes, line):
    assert len(localize(**SCORES, settings=Localization()).scores)
    with pytest.raises(InputError, match=f"^{line}"):
        localize(**SCORES | changes, settings=Localization())
    by_class = Localization(by_class=True)
    with pytest.raises(InputError, match=r"not \[C\], \[N, C\] and \[N, C\]"):
        localize(**SCORES, settings=by_class)


def test_localising_twice_gives_the_same():
    model = build_baseline("acrnet", num_classes=2, width=8).train()
    model.classes, model.num_segments = ("a", "b"), 20
    x = np.random.default_rng(0).random((20, 16))
    assert localize_video(model, x) == localize_video(model, x)  # no dropout, and float64 will do
    for wrong, line in ((0, "snippet_seconds = 0: must be a number above 0"), (float("nan"), "snippet_seconds = nan")):
        with pytest.raises(InputError, match=line):
            localize_video(model, x, wrong)
    with pytest.raises(InputError, match="the features hold no snippets"):
        localize_video(model, x[:0])
    for wrong in (torch.from_numpy(x), x[0], x[None], np.full((20, 16), np.nan)):
        with pytest.raises(InputError, match=r"features must be a NumPy array \[T, 2D\] of finite numbers"):
            localize_video(model, wrong)
    del model.classes
    with pytest.raises(InputError, match="the model has no classes: take one of clasnet.load_model, or set model.cla"):
        localize_video(model, x)


WRONG_TIMES = [
    ({"snippet_seconds": -1}, "snippet_seconds = -1: must be a number above 0"),
    ({"num_snippets": -5}, "num_snippets = -5: must be a whole number from 1 on"),
    ({"num_snippets": float("nan")}, "num_snippets = nan: must be a whole number from 1 on"),
    ({"ambiguous": [[100, 0]]}, r"ambiguous = \[\[100.0, 0.0\]\]: must be segments"),
    ({"ambiguous": [[0, float("nan")]]}, "ambiguous = .*nan.*: must be segments"),
    ({"ambiguous": [[0, 100, 3]]}, "ambiguous = .*: must be segments"),
]


@pytest.mark.parametrize(("changes", "line"), WRONG_TIMES)
def test_times_that_are_none_are_refused(changes, line):
    with pytest.raises(InputError, match=line):
        localize(**SCORES, settings=Localization(), **changes)


def test_a_model_file_keeps_the_beta_that_was_set(tmp_path):
    model = build_model({"name": "acrnet", "num_classes": 2, "width": 8}, {"fcsm": {"heads": 2}})
    model.beta = 0.25
    save_model(tmp_path / "m.pt", model, classes=("a", "b"), num_segments=9)
    assert load_model(tmp_path / "m.pt").beta == 0.25


class Odd(Baseline):
    """A network of one weight that says what it is told to."""

    def __init__(self, cas=(6, 9, 2), attention=0.5, terms=None):
        super().__init__(2, 8)
        self.weight, self.told = nn.Parameter(torch.ones(1)), (cas, attention, terms)

    def forward(self, x):
        cas, attention, _ = self.told
        attention = torch.full((6, 9), attention) if isinstance(attention, float) else torch.zeros(attention)
        return Output(torch.ones(cas) * self.weight, attention)

    def losses(self, output, labels, progress):
        _, _, terms = self.told
        return {"cas": output.cas.mean()} if terms is None else terms

    def scores(self, output):
        return Scores(output.cas.amax(1), output.cas, output.attention[..., None])


ODD_NETWORKS = [
    ({"cas": (6, 9, 4)}, r"Odd: cas is \[6, 9, 4\]: must be \[6, 9, 2\], or one class more"),
    ({"attention": (6, 9, 1)}, r"Odd: attention is \[6, 9, 1\]: must be \[6, 9\]"),
    ({"attention": 3.5}, "Odd: attention is from 3.5 to 3.5: must be from 0 to 1"),
    ({"attention": -0.25}, "Odd: attention is from -0.25 to -0.25: must be from 0 to 1"),
    ({"terms": {"a": torch.ones(3, requires_grad=True)}}, r"Odd: the loss a is \[3\]: must be a scalar tensor"),
    ({"terms": {"a": 0.0}}, "Odd: the loss a is a float: must be a scalar tensor"),
    ({"terms": {"loss": torch.ones((), requires_grad=True)}}, "Odd: a loss is called 'loss': must be letters, digits"),
    ({"terms": {"a": torch.ones(()), "b": torch.ones(())}}, "Odd: no loss has a gradient: a, b"),
    ({"terms": {}}, "Odd: no loss has a gradient: there is none"),
]


@pytest.mark.parametrize(("told", "line"), ODD_NETWORKS)
def test_a_network_that_is_none_does_not_train(told, line):
    def sample():
        return torch.rand(6, 9, 16), torch.eye(2)[[0, 1, 0, 1, 0, 1]]

    how = {"steps": 2, "lr": 1e-3, "weight_decay": 0.0}
    train(Odd(), sample, **how)
    with pytest.raises(InputError, match=f"^{line}"):
        train(Odd(**told), sample, **how)


WRONG_LABELS = [
    (torch.ones(6, 1), r"Odd: labels are \[6, 1\]: must be \[6, 2\]"),
    (torch.ones(1, 2), r"Odd: labels are \[1, 2\]: must be \[6, 2\]"),
    (torch.full((6, 2), 3.0), "Odd: labels are from 3 to 3: must be from 0 to 1"),
    (-torch.ones(6, 2), "Odd: labels are from -1 to -1: must be from 0 to 1"),
]


@pytest.mark.parametrize(("labels", "line"), WRONG_LABELS)
def test_labels_are_a_row_a_video(labels, line):
    with pytest.raises(InputError, match=f"^{line}"):
        train(Odd(), lambda: (torch.rand(6, 9, 16), labels), steps=1, lr=1e-3, weight_decay=0.0)


class Deaf(type(build_baseline("acrnet", num_classes=2, width=8))):
    """Its scores are of a copy of the attention, which nobody mixes anything into."""

    def forward(self, x):
        output = super().forward(x)
        self.kept = output.segment_scores
        return output

    def scores(self, output):
        return Scores(self.kept.amax(1), self.kept, self.kept)


class Misshapen(Deaf):
    def scores(self, output):
        return Scores(self.kept.amax(1), self.kept, output.attention)


def test_scores_follow_the_attention_that_is_mixed():
    def sample():
        return torch.rand(2, 12, 16), torch.eye(2)

    how = {"steps": 1, "lr": 1e-3, "weight_decay": 0.0}
    train(Deaf(2, 8), sample, **how)
    train(CLASNet(build_baseline("acrnet", num_classes=2, width=8), fcsm={"heads": 2}), sample, **how)
    with pytest.raises(InputError, match=r"^CLASNet: its baseline's scores do not follow output.attention, into which"):
        train(CLASNet(Deaf(2, 8), fcsm={"heads": 2}), sample, **how)
    with pytest.raises(InputError, match=r"^Misshapen: the scores' activity is \[2, 12\]: must be \[2, 12, 2\]"):
        train(Misshapen(2, 8), sample, **how)
