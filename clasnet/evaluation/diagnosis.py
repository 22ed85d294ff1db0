"""Where a detector's errors lie, in the spirit of DETAD (Alwassel et al., ECCV 2018). NumPy only.

False positives by kind, at a t-IoU α, from what the prediction overlaps in its video (looked up in this order): double
detection: an instance of its class by at least α, which a better prediction has taken; wrong label: an instance of
another class by at least α; localisation: one of its class by at least 0.1; confusion: one of another class by at least
0.1; background: nothing by as much.

Where DETAD's released code differs: it keeps the best 10 × G predictions class by class, not of all classes together;
it goes by the one instance of any class that the prediction overlaps most, so that one that overlaps its own class by
0.2 and another by 0.3 is a confusion there and a localisation error here; its costs are of normalised mAP, of
ActivityNet over t-IoUs 0.5 to 0.95; and its bins are other ones for ActivityNet (length and coverage) and for THUMOS14
(number of instances), where the same ones serve all data sets here.
"""

from itertools import pairwise

import numpy as np

from clasnet.evaluation.metrics import detection_ap, expand_ranges, interpolated_ap, match, rank, temporal_iou

KINDS = ("double detection", "wrong label", "localisation", "confusion", "background")
LEAST = 0.1


def diagnose(truth, found, tiou=0.5, per_instance=10):
    """Errors among the best ``per_instance`` × G predictions.

    ``truth``: segments [G, 2], video [G], class [G]; ``found``: segments [P, 2], video, class, score [P]. Returns
    ``mAP`` of those P' predictions; ``counts`` (true positives and every kind); ``cost`` (mAP gained, in points, if the
    false positives of a kind were not there); ``taken`` [P'], the ground truth that each takes, -1 for none; ``kind``
    [P'], its index in KINDS, -1 for a true one.
    """
    found = best_predictions(found, per_instance * len(truth[0]))
    segments, video, label, scores = found
    by_score = np.argsort(-scores, kind="stable")
    taken = np.empty(len(scores), dtype=int)
    taken[by_score] = match(*truth, segments[by_score], video[by_score], label[by_score], [tiou])[0]
    kind = np.where(taken >= 0, -1, error_kinds(truth, (segments, video, label), tiou))
    whole = map_percent(truth, found, tiou)
    return {
        "mAP": whole,
        "counts": {name: int((kind == k).sum()) for k, name in enumerate(("true positive", *KINDS), -1)},
        "cost": {name: map_percent(truth, [x[kind != k] for x in found], tiou) - whole for k, name in enumerate(KINDS)},
        "taken": taken,
        "kind": kind,
    }


def best_predictions(found, count):
    """The ``count`` best of the predictions ``found``, in the order given."""
    arrays = [np.asarray(x) for x in found]
    best = np.sort(np.argsort(-arrays[-1], kind="stable")[:count])
    return [x[best] for x in arrays]


def map_percent(truth, found, tiou):
    """mAP of ``found`` at ``tiou`` in percent."""
    return 100 * detection_ap(*truth, *found, [tiou]).map[0]


def error_kinds(truth, found, tiou):
    """The kind that each prediction has if it is a false positive: [P], index in KINDS."""
    truth_segments, truth_video, truth_class = (np.asarray(x) for x in truth)
    segments, video, label = found
    by_video = np.argsort(truth_video, kind="stable")
    low, high = (np.searchsorted(truth_video[by_video], video, side=side) for side in ("left", "right"))
    prediction, position = expand_ranges(low, high)  # with every instance of its video
    instance = by_video[position]
    iou = temporal_iou(segments[prediction], truth_segments[instance])
    own = truth_class[instance] == label[prediction]
    same, other = np.zeros(len(segments)), np.zeros(len(segments))  # largest t-IoU with either kind of instance
    np.maximum.at(same, prediction[own], iou[own])
    np.maximum.at(other, prediction[~own], iou[~own])
    return np.select([same >= tiou, other >= tiou, same >= LEAST, other >= LEAST], range(4), 4)


def characteristics(truth, duration):
    """What sensitivity is measured by: name to (names of the bins, bin of each instance [G]).

    Length in seconds and coverage (share of the video), in DETAD's bins for THUMOS14; the number of instances of the
    class in the video, in its bins for ActivityNet. ``duration`` [V] seconds.
    """
    segments, video, label = (np.asarray(x) for x in truth)
    length = segments[:, 1] - segments[:, 0]
    coverage = length / np.asarray(duration)[video]
    _, pair, count = np.unique(np.stack([video, label], 1), axis=0, return_inverse=True, return_counts=True)
    instances = count[pair.ravel()]
    return {
        "length": (("XS ≤ 3 s", "S ≤ 6", "M ≤ 12", "L ≤ 18", "XL"), np.digitize(length, (3, 6, 12, 18), right=True)),
        "coverage": (
            ("XS ≤ 2 %", "S ≤ 4", "M ≤ 6", "L ≤ 8", "XL"),
            np.digitize(coverage, (0.02, 0.04, 0.06, 0.08), right=True),
        ),
        "instances": (("1", "2 to 4", "5 to 8", "more"), np.digitize(instances, (1, 4, 8), right=True)),
    }


def sensitivity(truth, found, bins, num_bins, tiou=0.5):
    """Per bin of the instances ``bins`` [G]: their number, the share that is missed, and normalised mAP (percent).

    Missed is what no prediction takes; an empty bin has None for both.
    """
    truth_class = np.asarray(truth[2])
    segments, video, label, scores = (np.asarray(x) for x in found)
    classes = np.unique(truth_class)
    order, bounds = rank(label, scores, classes)
    taken = match(*truth, segments[order], video[order], label[order], [tiou])[0]
    missed = np.ones(len(truth_class), dtype=bool)
    missed[taken[taken >= 0]] = False
    taken_by_class = {c: taken[a:b] for c, (a, b) in zip(classes, pairwise(bounds), strict=True)}
    rows = []
    for i in range(num_bins):
        inside = bins == i
        aps = normalized_aps(truth_class, taken_by_class, inside)
        rows.append(
            {
                "instances": int(inside.sum()),
                "missed": float(missed[inside].mean()) if inside.any() else None,
                "mAP_N": float(100 * np.mean(aps)) if aps else None,
            }
        )
    return rows


def normalized_aps(truth_class, taken_by_class, inside):
    """Normalised AP (DETAD) of every class that has instances ``inside`` [G] bool of a bin.

    Only these count as positives (predictions that take others are set aside), and precision is scaled as if every
    class had the same number of them, the mean over classes, so that bins of different size compare.
    ``taken_by_class``: the ground truth that each prediction of a class takes, by falling score.
    """
    usual = len(truth_class) / max(len(taken_by_class), 1)
    aps = []
    for c, taken in taken_by_class.items():
        positives = (inside & (truth_class == c)).sum()
        if positives:
            counted = taken[(taken < 0) | inside[taken]]
            aps.append(interpolated_ap((counted >= 0)[None], positives, usual)[0])
    return aps
