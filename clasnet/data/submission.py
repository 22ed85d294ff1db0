"""Predictions in the ActivityNet submission layout, which the field's tools read."""

from clasnet.files import write_json


def actions(classes, detections, seconds=1.0):
    """Rows of a submission, best first: ``{"label", "segment" [s], "score"}`` of every detection; times are multiplied by ``seconds``."""
    rows = zip(detections.classes.tolist(), (detections.segments * seconds).round(3).tolist(), detections.scores.round(6).tolist())
    return sorted(({"label": classes[c], "segment": segment, "score": score} for c, segment, score in rows), key=lambda row: -row["score"])


def write_submission(path, results):
    """Write ``results``, video id to :func:`actions`, to ``path``."""
    write_json(path, {"version": "VERSION 1.3", "results": results, "external_data": {}}, indent=None)
