"""Figure 5: one test video, its ground truth, what the baseline and CLASNet find in it, and their class activation."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import msgspec
import numpy as np

from clasnet.evaluation.metrics import temporal_iou
from clasnet.inference.timeline import disjoint
from clasnet.models.registry import TITLES
from stages.drawing.style import BLUE, BROWN, PURPLE, RED, headline
from stages.results import VARIANTS, model_title, open_submission, read_curves, read_truth

COLOURS = {"baseline": BROWN, "clasnet": PURPLE}


@dataclass(frozen=True)
class Scene:
    """A test video and its first class, of which each model shows as many segments as there are true ones."""

    id: str
    seconds: float  # its length
    label: int
    truth: np.ndarray  # [G, 2] seconds
    found: dict[str, np.ndarray]  # variant to [N, 2], N at most G

    @property
    def gained(self):
        """Which true segments CLASNet finds and the baseline does not, [G]."""
        return found_by(self.truth, self.found["clasnet"]) & ~found_by(self.truth, self.found["baseline"])

    @property
    def profit(self):
        """How telling the scene is: the number of segments gained, if neither few nor many are there."""
        return int(self.gained.sum()) if 3 <= len(self.truth) <= 12 else -1


def draw(params):
    """The figure, of the most telling video, which its title says."""
    study = params.study
    truth, seconds = read_truth(study.dataset)
    curves = {variant: read_curves(study.dataset, study.baseline, variant, params.all_seeds[0]) for variant in VARIANTS}
    scenes = read_scenes(params, truth, seconds, curves["baseline"])
    scene = max(scenes, key=lambda scene: scene.profit)
    figure, axes = plt.subplots(2, 1, figsize=(9, 4.4), sharex=True, height_ratios=(1.5, 1), layout="constrained")
    draw_activation(axes[0], scene, study.baseline, curves)
    draw_segments(axes[1], scene, study.baseline)
    chosen = f"one of {len(scenes)} test videos"
    if scene.profit > 0:
        chosen = f"the {chosen} where CLASNet gains most"
    shown = f"the {len(scene.truth)} best disjoint segments of each model"
    figure.suptitle(headline(params, f"{scene.id}, {truth.classes[scene.label]}: {chosen}; {shown}"), fontsize=10)
    return figure


def read_scenes(params, truth, seconds, curve_names):
    """The :class:`Scene` of every test video that has true segments and curves, by id."""
    study, seed = params.study, params.all_seeds[0]
    results = {variant: open_submission(study.dataset, study.baseline, variant, seed) for variant in VARIANTS}
    with_curves = {name.rsplit("/", 1)[0] for name in curve_names}
    videos = [v for v in np.unique(truth.segment_video) if truth.ids[v] in with_curves]
    scenes = [make_scene(truth, v, seconds[v], results) for v in videos]
    return sorted(scenes, key=lambda scene: scene.id)


def make_scene(truth, v, seconds, results):
    """The :class:`Scene` of the video at position ``v``, of ``seconds``."""
    id, own = str(truth.ids[v]), truth.segment_video == v
    label = truth.segment_class[own][0]
    segments = truth.segments[own & (truth.segment_class == label)]
    found = {
        variant: best_segments(msgspec.json.decode(videos[id]), truth.classes[label], len(segments))
        for variant, videos in results.items()
    }
    return Scene(id, seconds, label, segments, found)


def best_segments(actions, label, top):
    """The ``top`` best of a video's ``actions`` of class ``label`` that do not overlap a better one, [N, 2]."""
    found = disjoint(action for action in actions if action["label"] == label)
    return np.array([action["segment"] for action in found[:top]]).reshape(-1, 2)


def found_by(truth, segments, tiou=0.5):
    """Which ground truths [G, 2] some segment overlaps with at least ``tiou``: [G] bool."""
    if not len(segments):
        return np.zeros(len(truth), dtype=bool)
    return (temporal_iou(truth[:, None], segments[None]) >= tiou).any(1)


def draw_activation(axis, scene, baseline, curves):
    """The class activation of both models over time, with the true segments behind."""
    for variant, colour in COLOURS.items():
        cas = curves[variant][f"{scene.id}/cas"][:, scene.label].astype(float)
        time = (np.arange(len(cas)) + 0.5) * scene.seconds / len(cas)
        axis.plot(time, cas, color=colour, linewidth=1.3, label=model_title(baseline, variant))
    for start, end in scene.truth:
        axis.axvspan(start, end, color=BLUE, alpha=0.12, linewidth=0)
    axis.set(ylabel="class activation", ylim=(0, None))
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def draw_segments(axis, scene, baseline):
    """The segments of the truth and of both models in a row each, with a box around what CLASNet gains."""
    rows = {
        "ground truth": (scene.truth, BLUE),
        TITLES[baseline]: (scene.found["baseline"], COLOURS["baseline"]),
        "with CLASNet": (scene.found["clasnet"], COLOURS["clasnet"]),
    }
    for row, (segments, colour) in enumerate(rows.values()):
        bars = [(start, end - start) for start, end in segments]
        axis.broken_barh(bars, (-row - 0.35, 0.7), color=colour, alpha=0.85, edgecolor="white", linewidth=0.5)
    for start, end in scene.truth[scene.gained]:
        box = plt.Rectangle((start - 0.8, -2.5), end - start + 1.6, 3, fill=False, edgecolor=RED, linewidth=1.8)
        axis.add_patch(box)
    meaning = f"red: CLASNet finds it at t-IoU 0.5, {TITLES[baseline]} does not"
    axis.set(ylim=(-2.6, 0.6), xlabel=f"time (s); {meaning}")
    axis.set_yticks([-row for row in range(3)], list(rows))
