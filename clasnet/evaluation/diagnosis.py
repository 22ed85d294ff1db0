"""Where a detector's errors lie, in the spirit of DETAD (Alwassel et al., ECCV 2018). NumPy only.

False positives by kind, at a t-IoU α, from what the prediction overlaps in its video (looked up in this order):
double detection: an instance of its class by at least α, which a better prediction has taken; wrong label: an instance of another class by at
least α; localisation: one of its class by at least 0.1; confusion: one of another class by at least 0.1; background: nothing by as much.
"""

import numpy as np

from clasnet.evaluation.metrics import detection_ap, interpolated_ap, match, rank, temporal_iou

KINDS = ("double detection", "wrong label", "localisation", "confusion", "background")
LEAST = 0.1


def diagnose(truth, found, tiou=0.5, per_instance=10):
    """Errors among the best ``per_instance`` × G predictions. ``truth``: segments [G, 2], video [G], class [G]; ``found``: segments [P, 2], video,
    class, score [P].

    Returns ``counts`` (true positives and every kind), ``cost`` (mAP gained, in points, if the false positives of a kind were not there) and
    ``taken`` [P'], the ground truth that each considered prediction takes, -1 for none, with ``kind`` [P'] its index in KINDS, -1 for a true one.
    """
    segments, video, label, scores = (np.asarray(x) for x in found)
    best = np.sort(np.argsort(-scores, kind="stable")[: per_instance * len(truth[0])])
    segments, video, label, scores = segments[best], video[best], label[best], scores[best]
    by_score = np.argsort(-scores, kind="stable")
    taken = np.empty(len(best), dtype=int)
    taken[by_score] = match(*truth, segments[by_score], video[by_score], label[by_score], [tiou])[0]
    kind = np.where(taken >= 0, -1, error_kinds(truth, (segments, video, label), tiou))
    whole = 100 * detection_ap(*truth, segments, video, label, scores, [tiou]).map[0]
    cost = {}
    for k, name in enumerate(KINDS):
        kept = kind != k
        cost[name] = 100 * detection_ap(*truth, segments[kept], video[kept], label[kept], scores[kept], [tiou]).map[0] - whole
    counts = {"true positive": int((kind == -1).sum()), **{name: int((kind == k).sum()) for k, name in enumerate(KINDS)}}
    return {"mAP": whole, "counts": counts, "cost": cost, "taken": taken, "kind": kind}


def error_kinds(truth, found, tiou):
    """The kind that each prediction has if it is a false positive: [P], index in KINDS."""
    truth_segments, truth_video, truth_class = (np.asarray(x) for x in truth)
    segments, video, label = found
    order = np.argsort(truth_video, kind="stable")
    low, high = (np.searchsorted(truth_video[order], video, side=side) for side in ("left", "right"))
    count = high - low
    prediction = np.repeat(np.arange(len(segments)), count)
    instance = order[np.arange(len(prediction)) - np.repeat(np.cumsum(count) - count - low, count)]
    iou = temporal_iou(segments[prediction], truth_segments[instance])
    own = truth_class[instance] == label[prediction]
    same, other = np.zeros(len(segments)), np.zeros(len(segments))
    np.maximum.at(same, prediction[own], iou[own])
    np.maximum.at(other, prediction[~own], iou[~own])
    return np.select([same >= tiou, other >= tiou, same >= LEAST, other >= LEAST], range(4), 4)


def characteristics(truth, duration):
    """What sensitivity is measured by: name to (names of the bins, bin of each instance [G]). ``duration`` [V] seconds.

    Length in seconds, coverage (share of the video) and the number of instances of the class in the video, in the bins of DETAD.
    """
    segments, video, label = (np.asarray(x) for x in truth)
    length = segments[:, 1] - segments[:, 0]
    pairs, inverse, count = np.unique(np.stack([video, label], 1), axis=0, return_inverse=True, return_counts=True)
    return {
        "length": (("XS ≤ 3 s", "S ≤ 6", "M ≤ 12", "L ≤ 18", "XL"), np.digitize(length, (3, 6, 12, 18), right=True)),
        "coverage": (("XS ≤ 2 %", "S ≤ 4", "M ≤ 6", "L ≤ 8", "XL"), np.digitize(length / np.asarray(duration)[video], (0.02, 0.04, 0.06, 0.08), right=True)),
        "instances": (("1", "2 to 4", "5 to 8", "more"), np.digitize(count[inverse.ravel()], (1, 4, 8), right=True)),
    }  # fmt: skip


def sensitivity(truth, found, bins, num_bins, tiou=0.5):
    """Per bin of the instances ``bins`` [G]: their number, the share that no prediction takes, and normalised mAP (percent).

    Normalised AP counts only the bin's instances as positives (predictions that take others are set aside) and scales precision as if every
    class had the same number of them, the mean over classes, so that bins of different size compare (DETAD).
    """
    truth_class = np.asarray(truth[2])
    segments, video, label, scores = (np.asarray(x) for x in found)
    classes = np.unique(truth_class)
    order, bounds = rank(label, scores, classes)
    taken = match(*truth, segments[order], video[order], label[order], [tiou])[0]
    found_ones = np.zeros(len(truth_class), dtype=bool)
    found_ones[taken[taken >= 0]] = True
    usual = len(truth_class) / max(len(classes), 1)
    rows = []
    for i in range(num_bins):
        inside = bins == i
        aps = []
        for c, a, b in zip(classes, bounds, bounds[1:]):
            positives = (inside & (truth_class == c)).sum()
            if positives:
                own = taken[a:b]
                counted = own[(own < 0) | inside[own]]
                aps.append(interpolated_ap((counted >= 0)[None], positives, usual)[0])
        rows.append({"instances": int(inside.sum()), "missed": float((~found_ones[inside]).mean()) if inside.any() else None,
                     "mAP_N": float(100 * np.mean(aps)) if aps else None})  # fmt: skip
    return rows
