"""The ActivityNet JSON layout: ``database`` -> id -> ``subset``, ``duration``, ``annotations``.

ActivityNet's own files have it, and this repository's.
"""

from typing import Annotated

import numpy as np
from msgspec import Meta, Struct

from clasnet.data.annotations import make_annotations
from clasnet.errors import InputError, shown
from clasnet.files import write_json
from clasnet.reading import check_names, read_json

Time = Annotated[float, Meta(ge=-1e9, le=1e9)]  # in seconds; of more, lengths and overlaps overflow
Segment = Annotated[tuple[Time, Time], Meta(description="[start, end] in seconds")]
Duration = Annotated[float, Meta(gt=0, le=1e6, description="a number of seconds above 0, at most a million")]


class Instance(Struct):
    segment: Segment
    label: str


class Video(Struct):
    subset: str
    duration: Duration
    annotations: list[Instance]
    labels: list[str] | None = None
    ambiguous: list[Segment] | None = None


class Content(Struct):
    database: dict[str, Video]
    classes: list[str] | None = None


def read_activitynet(path):
    """Annotations from an ActivityNet JSON file.

    Classes are sorted by name unless the file has its own ``classes`` list.
    """
    content = read_json(path, Content)
    records = []
    for id, video in content.database.items():
        place = f"{path}: database[{shown(id)}]"
        for k, instance in enumerate(video.annotations):
            check_segment(f"{place}.annotations[{k}]", instance.segment)
        for k, segment in enumerate(video.ambiguous or ()):
            check_segment(f"{place}.ambiguous[{k}]", segment)
        records.append(
            {
                "id": id,
                "subset": video.subset,
                "duration": video.duration,
                "segments": [(*instance.segment, instance.label) for instance in video.annotations],
                "labels": video.labels,
                "ambiguous": video.ambiguous,
            }
        )
    return annotations_of(path, records, content.classes)


def check_segment(place, segment):
    """Raise ``InputError`` if the ``segment`` (start, end) at ``place`` ends before it starts."""
    start, end = segment
    if not start <= end:
        raise InputError(f"{place}: segment [{start:.15g}, {end:.15g}] ends before it starts")


def annotations_of(path, records, classes=None):
    """Annotations from the plain ``records`` in the file ``path``; ``classes`` None: those of the segments, by name.

    Raises ``InputError`` where a video has a label that ``classes`` lack, a class or an id is there twice, or a name is
    none.
    """
    if not records:
        raise InputError(f"{path}: it names no video")
    names = {name for record in records for *_, name in record["segments"]}
    classes = sorted(names) if classes is None else classes
    ids, subsets = [record["id"] for record in records], sorted({record["subset"] for record in records})
    for what, values in (("class", classes), ("video", ids), ("subset", subsets)):
        check_names(values, f"{path}: the {what}")
        if len(set(values)) != len(values):
            raise InputError(
                f"{path}: the {what} {shown(next(x for x in values if values.count(x) > 1))} is there twice"
            )
    known = set(classes)
    for record in records:
        labels = [name for *_, name in record["segments"]] + list(record.get("labels") or ())
        if unknown := [name for name in labels if name not in known]:
            line = f"video {shown(record['id'])} has the label {shown(unknown[0])}, which is no class"
            raise InputError(f"{path}: {line}")
    return make_annotations(classes, records)


def write_activitynet(path, annotations):
    """Write ``annotations`` in the ActivityNet JSON layout.

    ``labels`` and ``ambiguous`` are extra keys that other tools skip.
    """
    a = annotations
    database = {
        id: {
            "subset": str(a.subset[v]),
            "duration": float(a.duration[v]),
            "labels": [a.classes[c] for c in np.flatnonzero(a.labels[v])],
            "annotations": [],
        }
        for v, id in enumerate(a.ids.tolist())
    }
    for v, c, segment in zip(a.segment_video, a.segment_class, a.segments.tolist(), strict=True):
        database[a.ids[v]]["annotations"].append({"label": a.classes[c], "segment": segment})
    for id, segments in a.ambiguous.items():
        database[id]["ambiguous"] = segments.tolist()
    write_json(path, {"version": "1", "classes": list(a.classes), "database": database}, indent=None)
