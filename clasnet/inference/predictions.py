"""Scored segments of many videos, as arrays."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from clasnet.localization.localize import Detections


@dataclass(frozen=True)
class Predictions:
    """Scored segments of V videos (N rows) and the videos' class scores."""

    video: np.ndarray  # [N] int, position among the videos
    segments: np.ndarray  # [N, 2] seconds
    classes: np.ndarray  # [N] int
    scores: np.ndarray  # [N]
    video_scores: np.ndarray  # [V, C]

    def by_video(self, videos):
        """The :class:`Detections` of each of ``videos`` V videos in turn, their rows in the order that they have."""
        order = np.argsort(self.video, kind="stable")
        bounds = np.searchsorted(self.video[order], np.arange(videos + 1))
        for a, b in pairwise(bounds):
            own = order[a:b]
            yield Detections(self.segments[own], self.classes[own], self.scores[own])


def gather(rows, video_scores):
    """:class:`Predictions` from the :class:`Detections` and the class scores of every video in turn."""
    return Predictions(
        np.repeat(np.arange(len(rows)), [len(row.scores) for row in rows]),
        np.concatenate([row.segments for row in rows]).reshape(-1, 2),
        np.concatenate([row.classes for row in rows]).astype(int),
        np.concatenate([row.scores for row in rows]),
        np.stack(video_scores),
    )
