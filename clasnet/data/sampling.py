"""Training batches: fixed-length segment sampling and same-class pairs, vectorised over the batch.

Sources: the sampling of CO2-Net (Hong et al., ACM MM 2021), which DELU shares, and of ACRNet (Ren et al., ICME 2023).
"""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from clasnet.errors import InputError, shown


@dataclass(frozen=True)
class Sampling:
    """How a baseline samples its videos."""

    pairs: int = 0  # the batch starts with this many pairs of videos that share a class
    inclusive: bool = False  # may a segment take the first snippet of the next one (CO2-Net)?
    subsample_test: bool = False  # are test videos longer than the training length cut down to it (ACRNet)?
    min_snippets: int = 1  # shorter videos neither train nor count in the evaluation
    excluded: tuple[str, ...] = ()  # ids of videos that the authors leave out, too


def sample_snippets(length, segments, rng, inclusive=False):
    """One random snippet from each of ``segments`` equal parts of every video.

    ``length`` [B] int; returns snippet positions [B, segments]. With cut points ``p_i = i T / N``, part ``i`` holds
    ``floor(p_i) ... floor(p_{i+1}) - 1``, with ``inclusive`` also ``floor(p_{i+1})``, at least ``floor(p_i)`` and at
    most ``T - 1``; a short video is thereby repeated.
    """
    length = np.asarray(length, dtype=np.int64)[:, None]
    cuts = np.arange(segments + 1) * length // segments
    low, high = cuts[:, :-1], cuts[:, 1:] + inclusive
    high = np.clip(high, low + 1, length)
    return low + (rng.random(low.shape) * (high - low)).astype(np.int64)


def uniform_snippets(length, segments):
    """The test-time counterpart: all snippets of a short video, else ``floor(i T / N)`` (ACRNet): [min(T, N)]."""
    return np.arange(length) if length <= segments else np.arange(segments) * length // segments


def usable_videos(store, subset, sampling):
    """Positions of the videos of ``subset`` that a baseline trains on or is evaluated on."""
    videos = store.subset(subset)
    long = store.length[videos] >= sampling.min_snippets
    excluded = np.isin(store.annotations.ids[videos], sampling.excluded)
    return videos[long & ~excluded]


CACHES = ("auto", "device", "ram", "disk")


BLOCK = 1 << 26  # bytes that are read at once into a cache on a device


def cached(features, device, cache, sharing=1):
    """``features`` [ΣT, 2D] where batches are gathered from: ``cache`` is one of ``CACHES``.

    A tensor on ``"device"`` or in ``"ram"``, or on ``"disk"`` the memory map itself. ``"auto"`` takes the first of
    these that has room, where ``sharing`` processes of this machine take as much each.
    """
    device = torch.device(device)
    if cache == "auto":
        cache = roomy_cache(features.nbytes, device, sharing)
    if cache == "disk":
        return features
    if cache == "ram" or device.type == "cpu":
        return torch.from_numpy(np.array(features))
    return filled_on(device, features)


def filled_on(device, features):
    """``features`` as a tensor on ``device``, copied in blocks: the machine's memory never holds them all."""
    whole = torch.empty(features.shape, dtype=torch.from_numpy(np.array(features[:0])).dtype, device=device)
    rows = max(1, BLOCK // features[:1].nbytes)
    for a in range(0, len(features), rows):
        whole[a : a + rows] = torch.from_numpy(np.array(features[a : a + rows]))
    return whole


def roomy_cache(size, device, sharing=1):
    """Which of ``CACHES`` has room for ``size`` bytes in each of ``sharing`` processes.

    That is twice over in a process's share of ``device``, on which as many work as on any other card, or four times in
    its share of the machine's memory, or the disk.
    """
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        on_card = math.ceil(sharing / torch.cuda.device_count())
        if 2 * size <= min(free, total // on_card):
            return "device"
    known = "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {})  # not on macOS and Windows
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if known else 0
    return "ram" if 4 * size <= available // sharing else "disk"


def moved(tensor, device):
    """``tensor`` on ``device``; towards CUDA from pinned memory, so that nothing waits for the copy."""
    if torch.device(device).type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


class BatchSampler:
    """Endless random training batches ``(x [B, N, 2D] float32, y [B, C] float32)`` on ``device``.

    ``store`` is an open :class:`FeatureStore`, ``videos`` the positions that may be drawn, ``cache`` one of ``CACHES``,
    ``sharing`` how many processes of this machine cache as much. Random draws come from NumPy's generator, so that CPU
    and CUDA, and all caches, give the same batches. From the disk a thread reads the next one meanwhile.
    """

    def __init__(self, store, videos, batch_size, segments, sampling, seed, device="cpu", cache="disk", sharing=1):
        if not len(videos):
            raise InputError("there are no training videos; the data card in reports/data/ says what was found")
        videos, known = np.asarray(videos), len(store.length)
        if videos.ndim != 1 or videos.dtype.kind not in "iu" or not ((videos >= 0) & (videos < known)).all():
            raise InputError(f"videos = {shown(videos.tolist())}: must be positions in the store, 0 to {known - 1}")
        for name, value in (("batch_size", batch_size), ("segments", segments)):
            if value < 1:
                raise InputError(f"{name} = {value}: must be a whole number from 1 on")
        if cache not in CACHES:
            raise InputError(f"cache = {cache!r}: must be one of {', '.join(CACHES)}")
        if 2 * sampling.pairs > batch_size:
            raise InputError(f"batch_size {batch_size} has no room for {sampling.pairs} same-class pairs")
        labels = store.annotations.labels[videos]
        self.features = cached(store.features, device, cache, sharing)
        self.offset, self.length = store.offset[videos], store.length[videos]
        self.labels = torch.from_numpy(labels.astype(np.float32)).to(device)
        self.batch_size, self.segments, self.sampling, self.device = batch_size, segments, sampling, device
        self.rng = np.random.default_rng(seed)
        self.class_size = labels.sum(0)
        self.class_start = np.cumsum(self.class_size) - self.class_size
        self.class_videos = np.nonzero(labels.T)[1]  # videos of class 0, of class 1, ...
        self.paired_classes = np.flatnonzero(self.class_size >= 2)
        if sampling.pairs and not len(self.paired_classes):
            raise InputError("no class has two training videos, so no same-class pair can be drawn")
        self.queue = np.empty(0, dtype=int)
        self.reader = None if isinstance(self.features, torch.Tensor) else ThreadPoolExecutor(1)
        self.coming = None  # the batch that the thread reads, and the state before it was drawn

    def state(self):
        """Where the draws are: for :meth:`load`, which makes them go on from there."""
        return self.coming[1] if self.coming else self._drawn_so_far()

    def _drawn_so_far(self):
        return {"generator": self.rng.bit_generator.state, "queue": self.queue.tolist()}

    def load(self, state):
        """Go on from ``state``."""
        self.rng.bit_generator.state = state["generator"]
        self.queue = np.array(state["queue"], dtype=int)
        self.coming = None

    def __call__(self):
        if not self.reader:
            return self.gather(*self.draw())
        batch = self.coming[0].result() if self.coming else self.gather(*self.draw())
        state = self._drawn_so_far()
        self.coming = self.reader.submit(self.gather, *self.draw()), state
        return batch

    def draw(self):
        """Positions [B] within ``videos``, and of their snippets within the store, [B, N]."""
        videos = self.draw_videos()
        snippets = sample_snippets(self.length[videos], self.segments, self.rng, self.sampling.inclusive)
        return videos, self.offset[videos][:, None] + snippets

    def gather(self, videos, rows):
        """The batch of what was drawn."""
        if isinstance(self.features, torch.Tensor):
            x = self.features[moved(torch.from_numpy(rows), self.features.device)]
        else:
            x = torch.from_numpy(self.features[rows])
        return moved(x, self.device).float(), self.labels[moved(torch.from_numpy(videos), self.device)]

    def draw_videos(self):
        """Positions [B] within ``videos``.

        With pairs: those first, then random ones; without: the next of shuffled epochs.
        """
        if not self.sampling.pairs:
            return self._next_in_epoch()
        pairs = self._draw_pairs()
        others = self.rng.integers(len(self.length), size=self.batch_size - pairs.size)
        return np.concatenate([pairs.ravel(), others])

    def _next_in_epoch(self):
        while len(self.queue) < self.batch_size:
            self.queue = np.append(self.queue, self.rng.permutation(len(self.length)))
        batch, self.queue = self.queue[: self.batch_size], self.queue[self.batch_size :]
        return batch

    def _draw_pairs(self):
        """Two videos of each of as many random classes as the batch starts with pairs: [pairs, 2]."""
        classes = self.rng.choice(self.paired_classes, self.sampling.pairs)
        size = self.class_size[classes]
        first = (self.rng.random(len(classes)) * size).astype(int)
        second = (first + 1 + (self.rng.random(len(classes)) * (size - 1)).astype(int)) % size  # any but the first
        return self.class_videos[self.class_start[classes][:, None] + np.stack([first, second], 1)]
