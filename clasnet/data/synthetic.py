"""Synthetic twins: deterministic WTAL data sets, so that the whole pipeline runs anywhere.

They show the failure modes the paper names. A twin stands in for a benchmark, or is laid over its real annotations:
then videos, classes, durations and segments are real and only the features are drawn. The generator knows no method and
was fixed by how the *baselines* fare. Snippets are 0.64 s. All prototypes are random non-negative sparse unit vectors;
amplitudes are in units of such a vector. The order of the random draws is part of a twin: the same seed gives the same
bytes.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from clasnet.data.annotations import make_annotations
from clasnet.data.datasets import SNIPPET_SECONDS, benchmark_of


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
    """Prototypes of ``num_classes`` classes in ``groups`` that share the looks of their beginnings, ends and scenes."""
    group = np.arange(num_classes) % groups

    def draw(*shape):
        return _unit(rng.gamma(2, size=(*shape, width)) * (rng.random((*shape, width)) < 0.22))

    def mixed(shared, own):
        return _unit(shared * draw(2, groups)[:, group] + own * draw(2, num_classes))

    return Prototypes(
        peak=draw(2, num_classes),
        pre=mixed(0.8, 0.35),
        post=mixed(0.55, 0.65),
        scene=mixed(0.55, 0.55),
        context=mixed(0.55, 0.55),
        motion=draw(),
        background=draw(12, 2),
        burst=draw(3, 2),
    )


def _unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def draw_annotations(benchmark, *, classes, train_videos, test_videos, snippets, rng):
    """Random annotations in the manner of ``benchmark``.

    ``classes`` classes, and videos of ``snippets`` = (low, high) length.
    """
    names = [f"action_{c:02d}" for c in range(classes)]
    protocol = benchmark_of(benchmark)
    records = []
    for subset, count in ((protocol.train, train_videos), (protocol.test, test_videos)):
        for n in range(count):
            length = int(rng.integers(snippets[0], snippets[1] + 1))
            spans, labels = _draw_instances(benchmark, length, n % classes, classes, rng)  # every class gets its share
            segments = [
                (start * SNIPPET_SECONDS, end * SNIPPET_SECONDS, names[c])
                for (start, end), c in zip(spans, labels, strict=True)
            ]
            duration = length * SNIPPET_SECONDS
            records.append({"id": f"{subset}_{n:04d}", "subset": subset, "duration": duration, "segments": segments})
    return make_annotations(names, records)


def _draw_instances(benchmark, length, main, classes, rng):
    """Spans [I, 2] in snippets and classes [I] of the instances of one video, whose main class is ``main``."""
    present = [main]
    many = benchmark_of(benchmark).like == "thumos14"
    if many and rng.random() < 0.15:
        present.append(int(rng.choice(np.delete(np.arange(classes), main))))
    spans = (_many_short_instances if many else _few_long_instances)(length, rng)
    more = rng.choice(present, max(len(spans) - len(present), 0))
    labels = np.concatenate([present, more])[: len(spans)].astype(int)
    rng.shuffle(labels)
    return spans, labels


def _many_short_instances(length, rng):
    """THUMOS-like: one about every 18 snippets.

    Log-normal, median 6.5 snippets, at least 2 apart, at most 60 % of the video.
    """
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
    """Features ``[length, 2D]`` float32 of one video.

    Its instances are ``spans`` [I, 2] in snippets, real numbers, of ``classes`` [I].
    """
    width = prototypes.motion.shape[0]
    signal = np.zeros((2, length, width))  # of RGB and flow; what follows adds to it
    spans = np.clip(spans, 0, length)
    acting = _cover(length, spans[:, 0], spans[:, 1]).max(0, initial=0.0)  # [T], share of the snippet in any instance
    _add_shots(signal, prototypes, acting, rng)
    _add_instances(signal, prototypes, spans, classes, rng)
    _add_surroundings(signal, prototypes, spans, classes, acting, rng)
    signal += np.array([0.4, 0.2])[:, None, None] * _unit(rng.random((2, 1, width)))  # the video's own tint
    _add_bursts(signal, prototypes, rng)
    gain = _slow_gain(length, rng)
    return np.concatenate(list(_pooled(_smooth(signal), gain, rng)), -1).astype(np.float32)


def _add_shots(signal, p, acting, rng):
    """Shots of 8 to 30 snippets, each with one background at one level, which actions hide in part."""
    length = signal.shape[1]
    shots, n = np.zeros(length, dtype=int), 0
    while n < length:
        step = rng.integers(8, 31)
        shots[n : n + step] = rng.integers(len(p.background))
        n += step
    change = np.flatnonzero(np.diff(shots, prepend=-1))
    level = np.repeat(0.6 * rng.uniform(0.6, 1.2, len(change)), np.diff(change, append=length))
    signal += np.swapaxes(p.background[shots], 0, 1) * (level * (1 - 0.65 * acting))[:, None]


def _add_instances(signal, p, spans, classes, rng):
    """Every instance: beginning, peak and end, motion, and scene.

    The motion is that of all actions and in the flow only; the scene reaches further than the instance.
    """
    length = signal.shape[1]
    parts = rng.dirichlet((3, 3.5, 3), len(spans))
    for (start, end), c, part in zip(spans, classes, parts, strict=True):
        gain = np.array([0.6, 0.6]) + rng.uniform(0, 0.55)
        if rng.random() < 0.3:  # weak in one modality
            gain[rng.integers(2)] *= 0.4
        cuts = start + (end - start) * np.array([0, part[0], part[0] + part[1], 1])
        shares = rng.uniform(0.35, 0.65), 1.0, rng.uniform(0.45, 0.75)
        for look, (a, b), share in zip((p.pre, p.peak, p.post), pairwise(cuts), shares, strict=True):
            signal += gain[:, None, None] * share * _cover(length, [a], [b])[0][:, None] * look[:, c][:, None]
        signal[1] += gain[1] * _cover(length, [start], [end])[0][:, None] * p.motion
        around = _cover(length, [start - rng.uniform(2, 9)], [end + rng.uniform(2, 9)])[0]
        signal += 0.5 * around[:, None] * p.scene[:, c][:, None]


def _add_surroundings(signal, p, spans, classes, acting, rng):
    """What misleads outside of instances: context of a class, beside its own or anywhere, and motion of no class."""
    length, idle = signal.shape[1], 1 - acting
    for (start, end), c in zip(spans, classes, strict=True):
        if rng.random() < 0.5:
            size = rng.uniform(3, 9)
            a, b = (start - size, start) if rng.random() < 0.5 else (end, end + size)
            _add_context(signal, p, c, _cover(length, [a], [b])[0] * idle)
    ends, starts = np.concatenate([[0], np.sort(spans[:, 1])]), np.concatenate([np.sort(spans[:, 0]), [length]])
    for a, b in zip(ends, starts, strict=True):
        if b - a < 1:
            continue
        if rng.random() < 0.15 and len(classes):
            _add_context(signal, p, rng.choice(classes), _stretch(length, a, b, rng) * idle)
        if rng.random() < 0.25:
            signal[1] += 0.8 * (_stretch(length, a, b, rng) * idle)[:, None] * p.motion


def _add_bursts(signal, p, rng):
    """Short disturbances of one modality, more often of RGB."""
    for start in np.flatnonzero(rng.random(signal.shape[1]) < 0.02):
        burst, span = rng.integers(len(p.burst)), slice(start, start + rng.integers(2, 8))
        modality = int(rng.random() >= 0.65)
        signal[modality, span] += 0.9 * p.burst[burst, modality]


def _slow_gain(length, rng):
    """A gain per modality that wanders between knots 20 snippets apart: [2, T]."""
    knots = rng.uniform(0.75, 1.25, (2, length // 20 + 2))
    time = np.arange(length) / 20
    return np.stack([np.interp(time, np.arange(knots.shape[1]), k) for k in knots])


def _add_context(signal, p, c, where):
    """The scene and context of class ``c``, without its action, at the share ``where`` [T] of each snippet."""
    signal[0] += where[:, None] * (0.6 * p.scene[0, c] + 0.4 * p.context[0, c])
    signal[1] += where[:, None] * 0.5 * p.context[1, c]


def _cover(length, start, end):
    """Share of each snippet that the spans cover: [I, T]."""
    edge = np.arange(length)
    first, last = np.maximum(np.asarray(start)[:, None], edge), np.minimum(np.asarray(end)[:, None], edge + 1)
    return np.clip(last - first, 0, 1)


def _stretch(length, low, high, rng):
    """A random piece of 3 to 10 snippets of the stretch ``low ... high``, as a cover [T]."""
    size = min(rng.uniform(3, 10), high - low)
    start = rng.uniform(low, max(low, high - size))  # their rounding may leave less than nothing
    return _cover(length, [start], [start + size])[0]


def _smooth(signal):
    """Mean over ±2 snippets along axis 1, edges repeated."""
    total = np.cumsum(np.pad(signal, ((0, 0), (3, 2), (0, 0)), mode="edge"), 1)
    return (total[:, 5:] - total[:, :-5]) / 5


def _pooled(signal, gain, rng):
    """Noise and rectification of each modality of ``signal`` [2, T, D] in turn: [T, D].

    A snippet is the mean of 4 rectified draws, so features are non-negative and half sparse.
    """
    for x, g in zip(signal, gain, strict=True):
        slow = _autoregressive(x.shape, rng)
        mean = np.zeros_like(x)
        for _ in range(4):
            noise = (slow + rng.standard_normal(x.shape)) / np.sqrt(2)
            mean += np.maximum(3.2 * g[:, None] * x + 0.75 * noise - 0.3, 0) / 4
        yield mean


def _autoregressive(shape, rng):
    """Noise [T, D] of unit variance in which each snippet depends on the one before."""
    noise = rng.standard_normal(shape)
    for t in range(1, len(noise)):
        noise[t] = 0.6 * noise[t - 1] + 0.8 * noise[t]
    return noise


def twin_videos(annotations, groups, width, seed):
    """Id and features ``[T, 2D]`` of every video in turn, for :func:`clasnet.data.store.write_store`."""
    classes = len(annotations.classes)
    prototypes = make_prototypes(classes, min(groups, classes), width, np.random.default_rng([seed, 1]))
    for v, id in enumerate(annotations.ids.tolist()):
        own = annotations.segment_video == v
        length = max(1, int(np.ceil(round(annotations.duration[v] / SNIPPET_SECONDS, 6))))
        spans = annotations.segments[own] / SNIPPET_SECONDS
        rng = np.random.default_rng([seed, 2, v])
        yield id, video_features(length, spans, annotations.segment_class[own], prototypes, rng)
