"""Predictions in the ActivityNet submission layout, which the field's tools read."""

import json

import numpy as np

from clasnet.files import replacing


def actions(classes, detections):
    """Rows of a submission, best first: ``{"label", "segment" [s], "score"}`` of every detection.

    Times have three digits. The score is the localisation's, which may be negative, to the last bit: an evaluation of
    the rows ranks, and ties, what was ranked here. Equal scores keep their order.
    """
    segments = detections.segments.round(3)
    order = np.argsort(-detections.scores, kind="stable")
    columns = detections.classes[order].tolist(), segments[order].tolist(), detections.scores[order].tolist()
    return [
        {"label": classes[c], "segment": segment, "score": score} for c, segment, score in zip(*columns, strict=True)
    ]


def write_submission(path, results):
    """Write ``results``, pairs of a video id and its :func:`actions`, to ``path``, one at a time.

    NaN and infinity, which are not JSON, raise ``ValueError``.
    """
    with replacing(path) as partial, open(partial, "w", encoding="utf-8", newline="\n") as file:
        file.write('{"version": "VERSION 1.3", "results": {')
        for n, (id, rows) in enumerate(results):
            file.write(f"{', ' if n else ''}{json.dumps(id)}: {json.dumps(rows, allow_nan=False)}")
        file.write('}, "external_data": {}}\n')
