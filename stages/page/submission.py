"""Submissions as the page reads them: one at a time, and of a file of millions of predictions one video at a time."""

import msgspec
import numpy as np

from clasnet.inference.predictions import Predictions


class Row(msgspec.Struct, gc=False):
    """One prediction."""

    segment: tuple[float, float]  # seconds
    score: float
    label: str


def read_rows(raw):
    """The :class:`Row` list of one video, best first."""
    return msgspec.json.decode(raw, type=list[Row])


def as_predictions(submission, truth):
    """:class:`Predictions`, without video scores, of the videos of ``truth``, all of which ``submission`` has."""
    index = {name: c for c, name in enumerate(truth.classes)}
    parts = [as_arrays(read_rows(submission[id]), index) for id in truth.ids.tolist()]
    segments, classes, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    video = np.repeat(np.arange(len(parts)), [len(own) for own, *_ in parts])
    return Predictions(video, segments, classes, scores, video_scores=None)


def as_arrays(rows, index):
    """Segments [N, 2], classes [N], as ``index`` numbers their names, and scores [N] of the ``rows`` of one video."""
    return (
        np.array([row.segment for row in rows], dtype=float).reshape(-1, 2),
        np.array([index[row.label] for row in rows], dtype=int),
        np.array([row.score for row in rows], dtype=float),
    )
