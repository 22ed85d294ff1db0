"""Plain implementations, written from the formulas with loops over everything: the oracles of the vectorised code."""

import json
import math
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F

from clasnet.evaluation import metrics
from clasnet.localization.localize import localize


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def cluster_sequentially(values):
    """ACRNet's adaptive clustering of falling ``values``, one at a time as in the paper: set of action positions."""
    n = len(values)
    if n == 1:
        return {0}
    action, background = {0}, [values[-1]]
    weight_sum, weighted = 1.0, values[0]
    for i in range(1, n - 1):
        centre = weighted / weight_sum
        if abs(values[i] - centre) <= abs(values[i] - sum(background) / len(background)) + 1e-6:
            action.add(i)
            weighted += values[i] / (i + 1)
            weight_sum += 1 / (i + 1)
        else:
            background.append(values[i])
    return action


def refine_sequentially(values, cas, action):
    """ACRNet's refining over the action positions of the sorted order: list of kept positions."""
    order = sorted(action)
    weights = [1 / (rank + 2) for rank in range(len(order))]
    reference = sum(w * cas[i] for w, i in zip(weights, order, strict=True)) / max(sum(weights), 1)
    total, count = 0.0, 0
    for j, i in enumerate(order):
        total += cas[i]
        count += total / (j + 1) >= reference
    threshold = values[order[min(count - 1, len(order) - 1)]]
    return [i for i in order if values[i] >= threshold]


def acrnet_scores(cas, scores):
    """Action and background class probabilities and mask of one video: cas, scores [T, C]."""
    length, classes = cas.shape
    action, background, mask = np.zeros(classes), np.zeros(classes), np.zeros((length, classes))
    for c in range(classes):
        order = sorted(range(length), key=lambda t: -scores[t, c])
        values = [scores[t, c] for t in order]
        ordered = [cas[t, c] for t in order]
        kept = refine_sequentially(values, ordered, cluster_sequentially(values))
        weights = [1 / (i + 2) for i in kept]
        action[c] = sum(w * ordered[i] for w, i in zip(weights, kept, strict=True)) / max(sum(weights), 1)
        inside = set(kept)
        rest = [ordered[i] for i in range(length) if i not in inside]
        background[c] = sum(rest) / max(len(rest), 1)
        for i in kept:
            mask[order[i], c] = 1
    return softmax(action), softmax(background), mask


def cosine(u, v):
    return float(u @ v / (np.linalg.norm(u) * np.linalg.norm(v)))


def suppress(cas, attention):
    low = cas.min(-1, keepdims=True)
    return attention[..., None] * (cas - low) + low


def multiple_instance(cas, labels, k, background):
    total = 0.0
    for video, y in zip(cas, labels, strict=True):
        top = [np.mean(sorted(video[:, c])[::-1][: max(1, len(video) // k)]) for c in range(video.shape[1])]
        target = np.append(y, background)
        total += -sum(
            t / (target.sum() + 1e-4) * math.log(p) for t, p in zip(target, softmax(np.array(top)), strict=True)
        )
    return total / len(cas)


def coactivity(features, cas, labels, pairs):
    total, shared = 0.0, 0.0
    for i in range(0, 2 * pairs, 2):
        high, low = [], []
        for v in (i, i + 1):
            p = np.stack([softmax(column) for column in cas[v].T], 1)
            high.append(features[v].T @ p)
            low.append(features[v].T @ ((1 - p) / max(len(p) - 1, 1)))
        for c in range(labels.shape[1]):
            both = labels[i, c] * labels[i + 1, c]
            near = 1 - cosine(high[0][:, c], high[1][:, c])
            total += both * 0.5 * max(0, near - (1 - cosine(high[0][:, c], low[1][:, c])) + 0.5)
            total += both * 0.5 * max(0, near - (1 - cosine(high[1][:, c], low[0][:, c])) + 0.5)
            shared += both
    return total / shared if shared else 0.0


def co2net_loss(cas, a, a_rgb, a_flow, features, labels, k, alpha1, alpha2, pairs=3):
    background = np.stack([[softmax(row)[-1] for row in video] for video in cas])
    suppressed = suppress(cas, a)
    terms = (
        multiple_instance(cas, labels, k, 1),
        multiple_instance(suppressed, labels, k, 0),
        coactivity(features, suppressed, labels, pairs),
        ((a_rgb - a_flow) ** 2).mean(),
        alpha1 * (a.mean() + a_rgb.mean() + a_flow.mean()) / 3,
        alpha2 * sum(abs(1 - x - background).mean() for x in (a, a_rgb, a_flow)) / 3,
    )
    return sum(terms)


def delu_terms(cas, a, a_rgb, a_flow, labels, r, amplitude, progress, evidence):
    """Unweighted evidence and uncertainty-guide terms."""
    classes, length = labels.shape[1], cas.shape[1]
    suppressed = suppress(cas, a)
    edl, guide = [], []
    for b, y in enumerate(labels):
        top = np.argsort(-a[b])[: max(1, length // r)]
        v = suppressed[b][top, :-1].mean(0)
        if evidence == "exp":
            alpha = np.exp(np.clip(v, -10, 10)) + 1
            s = alpha.sum()
            w = y / alpha / (y / alpha).sum()
            surprise = [math.log(s) - math.log(alpha[c]) for c in range(classes)]
            edl.append(sum((1 - classes / s) * y.sum() * w[c] * surprise[c] for c in range(classes)))
        else:
            alpha = np.maximum(v, 0) + 1
            edl.append(((y - alpha / alpha.sum()) ** 2).sum())
        u = [classes / (np.exp(np.clip(row, -10, 10)) + 1).sum() for row in suppressed[b]]
        index = np.argsort(u)
        curve = [amplitude * math.tanh((2 * (i + 0.5) / length - 1) * (1 - 2 * progress)) + 1 for i in range(length)]
        for t in range(length):
            q = softmax(cas[b, t])[-1]
            guide.append(curve[index[t]] * sum(abs(1 - x[b, t] - q) for x in (a, a_rgb, a_flow)) / 3)
    return np.mean(edl), np.mean(guide)


def acrnet_loss(cas, a_rgb, a_flow, labels):
    a = (a_rgb + a_flow) / 2
    positive, negative, gce = [], [], {"rgb": ([], []), "flow": ([], [])}
    for b, y in enumerate(labels):
        p = np.stack([softmax(row) for row in cas[b]])
        action, background, mask = acrnet_scores(cas[b], (p + a[b][:, None]) / 2)
        positive.append(-sum(y * np.log(np.maximum(action, 1e-8))) / max(y.sum(), 1))
        negative += list(-np.log(np.maximum(1 - background, 1e-8)))
        mu = np.minimum(1, mask @ y)
        for name, x in (("rgb", a_rgb[b]), ("flow", a_flow[b])):
            gce[name][0].append(sum(mu * (1 - x**0.7) / 0.7) / max(mu.sum(), 1))
            gce[name][1].append(sum((1 - mu) * (1 - (1 - x) ** 0.7) / 0.7) / max((1 - mu).sum(), 1))
    return np.mean(positive) + np.mean(negative) + 0.1 * sum(np.mean(x) for pair in gce.values() for x in pair)


def contrast(action, background, alpha):
    n = len(action)
    total = -np.mean([math.log(1 - similarity(u, v)) for u in action for v in background])
    for group in (action, background):
        for i in range(n):
            others = sorted((similarity(group[i], group[j]) for j in range(n) if j != i), reverse=True)
            for rank, s in enumerate(others):
                total -= math.exp(-alpha * rank) * math.log(s) / n**2
    return total


def similarity(u, v):
    return min(max(cosine(u, v), 0.0005), 0.9995)


def boundary(separation, attention, cas, labels, mutual):
    total = 0.0
    for n, (a, video, y) in enumerate(zip(attention, cas, labels, strict=True)):
        p = np.array([sum(softmax(row)[c] for c in range(len(y)) if y[c]) for row in video])
        q = (p - p.min()) / (p.max() - p.min())
        if separation is None:
            total += ((q - a) ** 2).mean()
            continue
        own = separation[n]
        total += ((q - (own + a) / 2) ** 2).mean() + mutual * ((own - q) ** 2).mean()
    return total / len(cas)


def soft_nms(start, end, scores, sigma, pixel, min_iou):
    """Gaussian soft-NMS of one class, one pick at a time."""
    plus = 1 if pixel else 0
    left, result = list(range(len(scores))), list(map(float, scores))
    while left:
        best = max(left, key=lambda i: result[i])
        left.remove(best)
        for i in left:
            inter = max(0, min(end[i], end[best]) - max(start[i], start[best]) + plus)
            iou = inter / (end[i] - start[i] + plus + end[best] - start[best] + plus - inter)
            if iou > min_iou:
                result[i] *= math.exp(-(iou**2) / sigma)
    return np.array(result)


def runs(row):
    """Runs of consecutive true values: (first, last)."""
    found, start = [], None
    for t, value in enumerate([*row, False]):
        if value and start is None:
            start = t
        if not value and start is not None:
            found.append((start, t - 1))
            start = None
    return found


def localize_by_attention(cas, attention, num_thresholds):
    """CO2-Net's localisation of one video before soft-NMS: rows (start, end, class, score) in snippets."""
    length, scores = len(cas), cas * attention[:, None]
    video = softmax(np.array([np.mean(sorted(column)[::-1][: max(1, length // 10)]) for column in scores.T]))[:-1]
    classes = [c for c, p in enumerate(video) if p >= 0.2] or [int(video.argmax())]
    found = []
    for threshold in np.linspace(0.1, 0.9, num_thresholds):
        for first, last in runs(attention > threshold):
            size = last - first + 1
            low, high = max(0, int(first - 0.25 * size)), min(length - 1, int(last + 0.25 * size))
            outside = [*range(low, first), *range(last + 1, high + 1)]
            for c in classes:
                outer = np.mean(scores[outside, c]) if outside else 0
                found.append((first, last + 1, c, np.mean(scores[first : last + 1, c]) - outer + 0.2 * video[c]))
    return np.array(found).reshape(-1, 4)


def average_precision(truth, predictions, tiou):
    """AP of one class by the official protocol in plain loops; of equal overlaps the later ground truth is taken.

    ``truth`` [(video, start, end)], ``predictions`` [(video, start, end, score)].
    """
    taken, hits = set(), []
    for video, start, end, _ in sorted(predictions, key=lambda p: -p[3]):
        best, best_iou = None, -1.0
        for g, (truth_video, s, e) in enumerate(truth):
            if truth_video != video or g in taken:
                continue
            inter = max(0, min(end, e) - max(start, s))
            union = end - start + e - s - inter
            iou = inter / union if union > 0 else 0
            if iou >= tiou and iou >= best_iou:
                best, best_iou = g, iou
        if best is not None:
            taken.add(best)
        hits.append(best is not None)
    precision = [sum(hits[: i + 1]) / (i + 1) for i in range(len(hits))]
    return sum(max(precision[i:]) / len(truth) for i in range(len(hits)) if hits[i])


def pandas_average_precisions(truth, predictions, tious, sort="stable"):
    """AP of one class as data frames, the way the field's public evaluations go about it: [Θ].

    Columns: video, start, end, and of predictions score. The ground truths of a prediction are visited by ascending
    overlap, turned round, so of equal ones the later comes first where the ``sort`` is stable. That of the public
    evaluations is NumPy's default, ``None``, which may leave equal ones in any order.
    """
    truth = truth.reset_index(drop=True)
    by_video = dict(list(truth.groupby("video")))
    predictions = predictions.sort_values("score", ascending=False, kind="stable").reset_index(drop=True)
    taken = np.zeros((len(tious), len(truth)), dtype=bool)
    hit = np.zeros((len(tious), len(predictions)), dtype=bool)
    for i, row in predictions.iterrows():
        if row["video"] not in by_video:
            continue
        rows = by_video[row["video"]].reset_index()
        inter = (np.minimum(row["end"], rows["end"]) - np.maximum(row["start"], rows["start"])).clip(lower=0)
        union = (row["end"] - row["start"]) + (rows["end"] - rows["start"]) - inter
        iou = (inter / union).fillna(0).to_numpy()
        for t, tiou in enumerate(tious):
            for j in np.argsort(iou, kind=sort)[::-1]:
                if iou[j] < tiou:
                    break
                g = rows.loc[j, "index"]
                if not taken[t, g]:
                    taken[t, g] = hit[t, i] = True
                    break
    ap = []
    for row in hit:
        precision, recall = np.cumsum(row) / np.arange(1, len(row) + 1), np.cumsum(row) / len(truth)
        precision, recall = np.concatenate([[0], precision, [0]]), np.concatenate([[0], recall, [1]])
        for i in range(len(precision) - 2, -1, -1):
            precision[i] = max(precision[i], precision[i + 1])
        steps = np.flatnonzero(recall[1:] != recall[:-1]) + 1
        ap.append(((recall[steps] - recall[steps - 1]) * precision[steps]).sum())
    return np.array(ap)


def pandas_detection_ap(truth, predictions, tious, sort="stable"):
    """AP of every class of the ground truth: [Θ, K]. Columns as above, and label."""
    aps = []
    for c in sorted(truth["label"].unique()):
        own = predictions[predictions["label"] == c]
        aps.append(pandas_average_precisions(truth[truth["label"] == c], own, tious, sort))
    return np.stack(aps, 1)


def sample_snippets(length, segments, rng, inclusive):
    """Snippets of one video, one segment at a time, as CO2-Net's (inclusive) and ACRNet's loaders draw them."""
    cuts = [i * length // segments for i in range(segments + 1)]
    chosen = []
    for i, (a, b) in enumerate(pairwise(cuts)):
        if i == segments - 1:
            chosen.append(int(rng.integers(a, length)) if a < length else length - 1)
        elif a == b:
            chosen.append(a)
        else:
            chosen.append(int(rng.integers(a, b + inclusive)))
    return chosen


def sorted_rows(rows, digits):
    """Rows (start, end, class, score) by class, start, end and score, whose last ``digits`` do not matter."""
    return rows[np.lexsort(rows.round(digits).T[[3, 1, 0, 2]])]


def cross_modal_attention(layer, rgb, flow):
    """ACRNet's cross-modal attention as the released code computes it: ``rgb``, ``flow`` [B, D, T] to the same."""

    def project(x, weights):
        return F.normalize(torch.einsum("btd,hde->bhte", x, weights), dim=-1)

    def join(heads):
        order = (0, 1, 3, 2) if layer.merge == "released" else (0, 2, 1, 3)
        return heads.permute(order).reshape(rgb.shape)  # [B, T, D]

    rgb, flow = rgb.transpose(1, 2), flow.transpose(1, 2)
    r, f = project(rgb, layer.project_rgb), project(flow, layer.project_flow)
    relation = r @ layer.relation @ f.transpose(-1, -2)
    r = F.gelu(relation.softmax(-1) @ r)
    f = F.gelu(relation.transpose(-1, -2).softmax(-1) @ f)
    return torch.tanh(join(r) + rgb).transpose(1, 2), torch.tanh(join(f) + flow).transpose(1, 2)


def bitwise_filter(layer, main, aux):
    """The filter of CO2-Net with its convolution over a sequence of one snippet."""
    whole = layer.dropout(F.leaky_relu(layer.global_conv(main.mean(-1, keepdim=True)), 0.2))
    local = layer.dropout(F.leaky_relu(layer.local_conv(aux), 0.2))
    return torch.sigmoid(local * whole) * main


def localize_by_frames(scores, video, snippets, sigma=0.5):
    """ACRNet's localisation of one video of ``snippets``, of which the network saw ``len(scores)``, frame by frame.

    Rows (start, end, class, score), times in seconds, after soft-NMS.
    """
    seen, frames = len(scores), 16 * snippets
    classes = [c for c, p in enumerate(video) if p >= 0.1] or [int(np.argmax(video))]
    rows = []
    for c in classes:
        curve = [interpolated(scores[:, c], j * seen / frames) for j in range(frames)]
        found = []
        for threshold in np.linspace(0.1, 0.95, 18):
            for first, last in runs([value >= threshold for value in curve]):
                size = last - first + 1
                if size < 2:
                    continue
                low, high = max(0, int(first - 0.25 * size)), min(frames - 1, int(last + 0.25 * size))
                outside = [curve[j] for j in (*range(low, first), *range(last + 1, high + 1))]
                outer = np.mean(outside) if outside else 0
                score = np.mean(curve[first : last + 1]) - outer + 0.2 * video[c]
                found.append((first + 1, last + 2, c, score))
        if found:
            start, end, _, score = np.array(found).T
            lowered = soft_nms(start, end, score, sigma, False, 0.1)
            rows += [(s / 25, e / 25, c, x) for s, e, x in zip(start, end, lowered, strict=True)]
    return np.array(rows).reshape(-1, 4)


def interpolated(values, position):
    """One value between its neighbours, past the last on their line, kept within 0 and 1."""
    if len(values) == 1:
        return min(max(values[0], 0), 1)
    left = min(int(position), len(values) - 2)
    share = position - left
    return min(max(values[left] * (1 - share) + values[left + 1] * share, 0), 1)


def dilated_layer(x, weight, bias, dilation):
    """A dilated convolution of kernel 3 with ReLU, zeros past the ends, and a residual where the widths allow it.

    ``x`` [T][inputs] to [T][outputs]; ``weight`` [outputs][inputs][3].
    """
    out = []
    for t in range(len(x)):
        row = []
        for o, kernel in enumerate(weight):
            total = bias[o]
            for i, taps in enumerate(kernel):
                for k, w in enumerate(taps):
                    at = t + (k - 1) * dilation
                    total += w * x[at][i] if 0 <= at < len(x) else 0
            row.append(max(total, 0))
        out.append([a + b for a, b in zip(row, x[t], strict=True)] if len(row) == len(x[t]) else row)
    return out


def bootstrap_map(truth, found, tious, weights):
    """Mean over ``tious`` of the mAP in every resample ``weights`` [B, V], all resamples of a class at once.

    Which predictions hit is :func:`clasnet.evaluation.metrics.match`'s word; what is counted here is the resampling.
    """
    weights = np.asarray(weights, dtype=float)
    truth_class, truth_video = truth[2], truth[1]
    classes = np.unique(truth_class)
    order, bounds = metrics.rank(found[2], found[3], classes)
    segments, video, label = (x[order] for x in found[:3])
    hit = metrics.match(*truth, segments, video, label, tious) >= 0
    total, counted = np.zeros(len(weights)), np.zeros(len(weights))
    for c, (a, b) in zip(classes, pairwise(bounds), strict=True):
        positives = weights[:, truth_video[truth_class == c]].sum(1)
        drawn = weights[:, video[a:b]]
        seen, ap = np.cumsum(drawn, 1), np.zeros(len(weights))
        for row in hit[:, a:b]:
            at = np.flatnonzero(row)
            times = drawn[:, at]
            precision = np.cumsum(times, 1) / np.maximum(seen[:, at], 1e-12)
            precision = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
            ap += (precision * times).sum(1) / np.maximum(positives, 1) / len(hit)
        total += np.where(positives > 0, ap, 0)
        counted += positives > 0
    return total / np.maximum(counted, 1)


def submission(ids, classes, predictions):
    """The text of a submission file, a mask over all predictions a video."""
    results = {}
    for v, id in enumerate(ids):
        own = predictions.video == v
        rows = list(zip(predictions.segments[own], predictions.classes[own], predictions.scores[own], strict=True))
        rows.sort(key=score_of, reverse=True)  # a stable sort keeps equal scores in their order
        results[id] = [
            {"label": classes[c], "segment": segment.round(3).tolist(), "score": float(score)}
            for segment, c, score in rows
        ]
    return json.dumps({"version": "VERSION 1.3", "results": results, "external_data": {}}) + "\n"


def score_of(row):
    return row[-1]


def predict(model, store, videos, num_segments, on_video):
    """Localise in one video after the other: the rows of each, and its class scores."""
    rows, video_scores = [], []
    with torch.inference_mode():
        for n, v in enumerate(videos):
            x, ambiguous = store.video(v), store.annotations.ambiguous.get(store.annotations.ids[v])
            if model.sampling.subsample_test and len(x) > num_segments:
                x = x[[i * len(x) // num_segments for i in range(num_segments)]]
            output = model.eval()(torch.from_numpy(x)[None])
            scores = model.scores(output)
            arrays = [y[0].numpy() for y in (scores.video, scores.snippet, scores.activity)]
            rows.append(localize(*arrays, model.localization, int(store.length[v]), ambiguous))
            video_scores.append(arrays[0])
            on_video(n, output, scores)
    return rows, video_scores
