"""Annotations of untrimmed videos: one in-memory form for every data set.

``activitynet.py`` reads and writes the layout of files that it has here; ``annotation_files.py`` reads every published
one.
"""

from dataclasses import dataclass, field

import numpy as np

from clasnet.errors import InputError, shown


@dataclass(frozen=True)
class Annotations:
    """Videos and their labelled segments, as parallel arrays (V videos, S segments, C classes); times in seconds."""

    classes: tuple[str, ...]
    ids: np.ndarray  # [V] str
    subset: np.ndarray  # [V] str, as the files name it
    duration: np.ndarray  # [V] float
    labels: np.ndarray  # [V, C] bool, what training may see
    segments: np.ndarray  # [S, 2] float, start and end
    segment_video: np.ndarray  # [S] int, position in ids
    segment_class: np.ndarray  # [S] int, position in classes
    ambiguous: dict[str, np.ndarray] = field(default_factory=dict)  # id -> [A, 2]; predictions there do not count

    def select(self, videos):
        """The annotations of the videos at the positions ``videos`` [V'], in that order; the classes stay.

        Raises ``InputError`` on a position that is there twice or is none.
        """
        videos = np.asarray(videos, dtype=int)
        if len(np.unique(videos)) != len(videos) or not ((videos >= 0) & (videos < len(self.ids))).all():
            raise InputError(f"positions {shown(videos.tolist())}: must be different ones of 0 to {len(self.ids) - 1}")
        position = np.full(len(self.ids), -1)
        position[videos] = np.arange(len(videos))
        kept = position[self.segment_video] >= 0
        ids = self.ids[videos]
        return Annotations(
            self.classes,
            ids,
            self.subset[videos],
            self.duration[videos],
            self.labels[videos],
            self.segments[kept],
            position[self.segment_video[kept]],
            self.segment_class[kept],
            {id: self.ambiguous[id] for id in ids if id in self.ambiguous},
        )


def make_annotations(classes, videos):
    """Annotations of ``classes`` (names) from plain records.

    ``videos`` yields dicts with ``id``, ``subset``, ``duration``, ``segments`` (``[(start, end, class name)]``) and,
    where they differ from the segments' classes or where there are none, ``labels`` (names).
    """
    videos = list(videos)
    index = {name: i for i, name in enumerate(classes)}
    rows = [(v, index[name], start, end) for v, video in enumerate(videos) for start, end, name in video["segments"]]
    segment_video, segment_class = (np.array([row[i] for row in rows], dtype=int) for i in (0, 1))
    labels = np.zeros((len(videos), len(classes)), dtype=bool)
    labels[segment_video, segment_class] = True
    for v, video in enumerate(videos):
        if video.get("labels") is not None:
            labels[v] = False
            labels[v, [index[name] for name in video["labels"]]] = True
    return Annotations(
        tuple(classes),
        np.array([video["id"] for video in videos], dtype=str),
        np.array([video["subset"] for video in videos], dtype=str),
        np.array([video["duration"] for video in videos], dtype=float),
        labels,
        np.array([row[2:] for row in rows], dtype=float).reshape(-1, 2),
        segment_video,
        segment_class,
        {v["id"]: np.array(v["ambiguous"], dtype=float) for v in videos if v.get("ambiguous")},
    )


def tested_classes(annotations, benchmark):
    """Names of the classes of the instances in the test videos, and of those of them that no training video has."""
    train, test = (annotations.subset == side for side in (benchmark.train, benchmark.test))
    own = np.unique(annotations.segment_class[test[annotations.segment_video]])
    taught, names = annotations.labels[train].any(0), np.array(annotations.classes)
    return names[own].tolist(), names[own[~taught[own]]].tolist()
