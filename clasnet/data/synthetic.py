"""Synthetic twins: deterministic WTAL data sets that show the failure modes the paper names, so that the whole pipeline runs anywhere.

A twin stands in for a benchmark, or is laid over its real annotations: then videos, classes, durations and segments are real and only the features
are drawn. The generator knows no method and was fixed by how the *baselines* fare. Snippets are 0.64 s. All prototypes are random non-negative
sparse unit vectors; amplitudes are in units of such a vector.
"""

from dataclasses import dataclass

import numpy as np

from clasnet.data.annotations import make_annotations
from clasnet.data.datasets import BENCHMARKS, SNIPPET_SECONDS


@dataclass(frozen=True)
class Prototypes:
    """The appearance of C classes and of everything else; ``[2, C, D]`` arrays hold RGB and flow."""

    peak: np.ndarray
    pre: np.ndarray
    post: np.ndarray
    scene: np.ndarray
    context: np.ndarray
    motion: np.ndarray  # [D], flow only
    background: np.ndarray  # [12, 2, D]
    burst: np.ndarray  # [3, 2, D]


def make_prototypes(num_classes, groups, width, rng):
    """Prototypes of ``num_classes`` classes in ``groups`` groups that share the looks of their beginnings, ends and scenes."""
    draw = lambda *shape: _unit(rng.gamma(2, size=(*shape, width)) * (rng.random((*shape, width)) < 0.22))
    group = np.arange(num_classes) % groups
    mixed = lambda shared, own: _unit(shared * draw(2, groups)[:, group] + own * draw(2, num_classes))
    return Prototypes(
        peak=draw(2, num_classes), pre=mixed(0.8, 0.35), post=mixed(0.55, 0.65), scene=mixed(0.55, 0.55), context=mixed(0.55, 0.55),
        motion=draw(), background=draw(12, 2), burst=draw(3, 2),
    )  # fmt: skip


def _unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def draw_annotations(benchmark, *, classes, train_videos, test_videos, snippets, rng):
    """Random annotations in the manner of ``benchmark``: videos of ``snippets = (low, high)`` length, ``classes`` classes."""
    names = [f"action_{c:02d}" for c in range(classes)]
    protocol = BENCHMARKS[benchmark]
    instances = _many_short_instances if benchmark == "thumos14" else _few_long_instances
    records = []
    for subset, count in ((protocol.train, train_videos), (protocol.test, test_videos)):
        for n in range(count):
            length = int(rng.integers(snippets[0], snippets[1] + 1))
            present = [n % classes]  # every class gets its share of both subsets
            if benchmark == "thumos14" and rng.random() < 0.15:
                present.append(int(rng.choice(np.delete(np.arange(classes), present[0]))))
            spans = instances(length, rng)
            which = np.concatenate([present, rng.choice(present, max(len(spans) - len(present), 0))])[: len(spans)].astype(int)
            rng.shuffle(which)
            segments = [(s * SNIPPET_SECONDS, e * SNIPPET_SECONDS, names[c]) for (s, e), c in zip(spans, which)]
            records.append({"id": f"{subset}_{n:04d}", "subset": subset, "duration": length * SNIPPET_SECONDS, "segments": segments})
    return make_annotations(names, records)


def _many_short_instances(length, rng):
    """THUMOS-like: one about every 18 snippets, log-normal, median 6.5 snippets, at least 2 apart, at most 60 % of the video."""
    count = max(1, round(length / 18 * rng.uniform(0.6, 1.4)))
    sizes = np.clip(rng.lognormal(np.log(6.5), 0.45, count), 3, 40)
    while len(sizes) > 1 and (sizes.sum() > 0.6 * length or sizes.sum() + 2 * (len(sizes) + 1) > length):
        sizes = sizes[:-1]
    return _place(np.minimum(sizes, 0.6 * length), length, 2, rng)


def _few_long_instances(length, rng):
    """ActivityNet-like: one to four that cover 25 to 70 % of the video."""
    count = min(1 + rng.poisson(0.5), 4)
    return _place(rng.dirichlet(np.full(count, 4.0)) * rng.uniform(0.25, 0.7) * length, length, 1, rng)


def _place(sizes, length, gap, rng):
    """Spans of the given ``sizes`` in order, with random room between them and at both ends."""
    room = max(length - sizes.sum() - gap * (len(sizes) + 1), 0)
    gaps = rng.dirichlet(np.ones(len(sizes) + 1)) * room + gap
    start = np.cumsum(gaps[:-1]) + np.cumsum(sizes) - sizes
    return np.stack([start, np.minimum(start + sizes, length)], 1)


def video_features(length, spans, classes, prototypes, rng):
    """Features ``[length, 2D]`` float32 of one video with instances ``spans`` [I, 2] (snippets, real numbers) of ``classes`` [I]."""
    p, width = prototypes, prototypes.motion.shape[0]
    signal = np.zeros((2, length, width))
    spans = np.clip(spans, 0, length)
    inside = _cover(length, spans[:, 0], spans[:, 1])  # [I, T]
    acting = inside.max(0, initial=0.0)

    shots, n = np.zeros(length, dtype=int), 0
    while n < length:
        step = rng.integers(8, 31)
        shots[n : n + step] = rng.integers(len(p.background))
        n += step
    change = np.flatnonzero(np.diff(shots, prepend=-1))
    level = np.repeat(0.6 * rng.uniform(0.6, 1.2, len(change)), np.diff(change, append=length))
    signal += np.swapaxes(p.background[shots], 0, 1) * (level * (1 - 0.65 * acting))[:, None]

    parts = rng.dirichlet((3, 3.5, 3), len(spans))
    for (start, end), c, part in zip(spans, classes, parts):
        gain = np.array([0.6, 0.6]) + rng.uniform(0, 0.55)
        if rng.random() < 0.3:
            gain[rng.integers(2)] *= 0.4
        cuts = start + (end - start) * np.array([0, part[0], part[0] + part[1], 1])
        shares = rng.uniform(0.35, 0.65), 1.0, rng.uniform(0.45, 0.75)
        for look, a, b, share in zip((p.pre, p.peak, p.post), cuts, cuts[1:], shares):
            signal += gain[:, None, None] * share * _cover(length, [a], [b])[0][:, None] * look[:, c][:, None]
        signal[1] += gain[1] * _cover(length, [start], [end])[0][:, None] * p.motion
        around = _cover(length, [start - rng.uniform(2, 9)], [end + rng.uniform(2, 9)])[0]
        signal += 0.5 * around[:, None] * p.scene[:, c][:, None]

    gaps = np.concatenate([[0], np.sort(spans[:, 1])]), np.concatenate([np.sort(spans[:, 0]), [length]])
    stretches = [(a, b) for a, b in zip(*gaps) if b - a >= 1]
    for (start, end), c in zip(spans, classes):
        if rng.random() < 0.5:
            size = rng.uniform(3, 9)
            a, b = (start - size, start) if rng.random() < 0.5 else (end, end + size)
            _add_context(signal, p, c, _cover(length, [a], [b])[0] * (1 - acting))
    for a, b in stretches:
        if rng.random() < 0.15 and len(classes):
            _add_context(signal, p, rng.choice(classes), _stretch(length, a, b, rng) * (1 - acting))
        if rng.random() < 0.25:  # a distractor: motion of no class
            signal[1] += 0.8 * (_stretch(length, a, b, rng) * (1 - acting))[:, None] * p.motion

    signal += np.array([0.4, 0.2])[:, None, None] * _unit(rng.random((2, 1, width)))
    for start in np.flatnonzero(rng.random(length) < 0.02):
        burst, span = rng.integers(len(p.burst)), slice(start, start + rng.integers(2, 8))
        modality = int(rng.random() >= 0.65)
        signal[modality, span] += 0.9 * p.burst[burst, modality]

    knots = rng.uniform(0.75, 1.25, (2, length // 20 + 2))
    time = np.arange(length) / 20
    gain = np.stack([np.interp(time, np.arange(knots.shape[1]), k) for k in knots])
    signal = _smooth(signal)
    return np.concatenate(list(_pooled(signal, gain, rng)), -1).astype(np.float32)


def _add_context(signal, p, c, where):
    signal[0] += where[:, None] * (0.6 * p.scene[0, c] + 0.4 * p.context[0, c])
    signal[1] += where[:, None] * 0.5 * p.context[1, c]


def _cover(length, start, end):
    """Share of each snippet that the spans cover: [I, T]."""
    edge = np.arange(length)
    return np.clip(np.minimum(np.asarray(end)[:, None], edge + 1) - np.maximum(np.asarray(start)[:, None], edge), 0, 1)


def _stretch(length, low, high, rng):
    """A random piece of 3 to 10 snippets of the stretch ``low ... high``, as a cover [T]."""
    size = min(rng.uniform(3, 10), high - low)
    start = rng.uniform(low, high - size)
    return _cover(length, [start], [start + size])[0]


def _smooth(signal):
    """Mean over ±2 snippets along axis 1, edges repeated."""
    total = np.cumsum(np.pad(signal, ((0, 0), (3, 2), (0, 0)), mode="edge"), 1)
    return (total[:, 5:] - total[:, :-5]) / 5


def _pooled(signal, gain, rng):
    """Noise and rectification per modality: a snippet is the mean of 4 rectified draws, so features are non-negative and half sparse."""
    for x, g in zip(signal, gain):
        length, width = x.shape
        slow = np.empty_like(x)
        step = rng.standard_normal((length, width))
        slow[0] = step[0]
        for t in range(1, length):  # auto-regressive: each snippet depends on the one before
            slow[t] = 0.6 * slow[t - 1] + 0.8 * step[t]
        mean = np.zeros_like(x)
        for _ in range(4):
            noise = (slow + rng.standard_normal((length, width))) / np.sqrt(2)
            mean += np.maximum(3.2 * g[:, None] * x + 0.75 * noise - 0.3, 0) / 4
        yield mean


def twin_videos(annotations, groups, width, seed):
    """Id and features ``[T, 2D]`` of every video of ``annotations`` in turn, for :func:`clasnet.data.store.write_store`."""
    prototypes = make_prototypes(len(annotations.classes), min(groups, len(annotations.classes)), width, np.random.default_rng([seed, 1]))
    for v in range(len(annotations.ids)):
        own = annotations.segment_video == v
        length = max(1, int(np.ceil(round(annotations.duration[v] / SNIPPET_SECONDS, 6))))
        spans = annotations.segments[own] / SNIPPET_SECONDS
        yield (
            annotations.ids[v].item(),
            video_features(length, spans, annotations.segment_class[own], prototypes, np.random.default_rng([seed, 2, v])),
        )
