"""Predictions in the ActivityNet submission layout, which the field's tools read."""

import numpy as np

from clasnet.files import write_json


def actions(classes, detections, seconds=1.0):
    """Rows of a submission, best first: ``{"label", "segment" [s], "score"}`` of every detection.

    Times are multiplied by ``seconds``. The score is the localisation's, which may be negative, to the last bit: an
    evaluation of the rows ranks, and ties, what was ranked here. Equal scores keep their order.
    """
    segments = (detections.segments * seconds).round(3)
    order = np.argsort(-detections.scores, kind="stable")
    columns = detections.classes[order].tolist(), segments[order].tolist(), detections.scores[order].tolist()
    return [
        {"label": classes[c], "segment": segment, "score": score} for c, segment, score in zip(*columns, strict=True)
    ]


def write_submission(path, results):
    """Write ``results``, video id to :func:`actions`, to ``path``."""
    write_json(path, {"version": "VERSION 1.3", "results": results, "external_data": {}}, indent=None)
