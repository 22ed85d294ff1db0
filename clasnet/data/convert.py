"""From released feature packages to the feature store, one video in memory at a time.

Two layouts: the pickled object array of W-TALC, CO2-Net and DELU (``<name>-I3D-JOINTFeatures.npy``, in the order of the
annotations' ``videoname.npy``), and a folder with one ``<id>.npy``, or a pair ``<id>_rgb.npy`` and ``<id>_flow.npy``,
a video (ACM-Net, ASM-Loc, ActionFormer; ACRNet).
"""

import hashlib
from difflib import get_close_matches

import numpy as np

from clasnet.data.features import as_long, group_files, open_features
from clasnet.data.safe_pickle import stream_object_array
from clasnet.data.store import USUAL, write_store
from clasnet.errors import InputError, shown
from clasnet.files import files_below

LOOKED_AT = 16  # snippets of a video, by which two of the same features are found


def convert(folder, annotations, features, *, columns, subsets, dtype="float32", origin=USUAL):
    """Write the feature store ``folder`` from the file or folder ``features``.

    It holds the videos of ``annotations`` in ``subsets``; ``columns`` is what the networks read, 2D or D of a single
    stream; ``origin`` an :class:`clasnet.data.store.Origin`. Returns what was found wrong, kind to list of lines (also
    in the store's ``problems.json``): videos without annotation, without (readable) features, without snippets or of
    another width are left out; NaN and infinity become 0. Videos of the same features, and of a subset whose name is
    almost one of ``subsets``, are among them. Raises ``InputError`` if most videos are not as long as annotated: then
    features and annotations are of other videos, or snippets of another cadence than ``origin`` says.
    """
    problems = {}
    if features.is_file():
        videos = released_array(features, annotations)
    else:
        videos = released_files(features, annotations, problems)
    wanted = annotations.select(np.flatnonzero(np.isin(annotations.subset, subsets)))
    if not len(wanted.ids):
        there = ", ".join(map(shown, np.unique(annotations.subset).tolist()))
        raise InputError(f"{folder}: no annotated video is of the subsets {' and '.join(subsets)}; there are {there}")
    for other in sorted(set(annotations.subset.tolist()).difference(subsets)):
        for near in get_close_matches(other.casefold(), subsets, 1, cutoff=0.7):
            for id in annotations.ids[annotations.subset == other]:
                note(problems, "of a subset that nobody reads, left out", f"{id}: {other}, not {near}")
    videos = checked(videos, features, wanted, columns, origin, problems)
    write_store(folder, wanted, videos, dtype, problems, origin)
    return problems


def released_array(path, annotations):
    """Id and features of every video of the object array at ``path``.

    They are in the order of ``annotations``, which are the package's own; ``InputError`` if the two differ in number.
    """
    ids, count = annotations.ids.tolist(), 0
    for features in stream_object_array(path):
        count += 1
        if count > len(ids):
            break
        yield ids[count - 1], features
    if count != len(ids):
        raise InputError(
            f"{path}: it holds {count} videos or more, the annotations {len(ids)}; "
            "this layout needs the annotations that it came with"
        )


def released_files(folder, annotations, problems):
    """Id and features of every video with files in ``folder`` or below, by id.

    Ids may have the ``v_`` that YouTube's need in file names, or lack it.
    """
    files, wrong = group_files(files_below(folder, ".npy"))
    if not files and not wrong:
        raise InputError(f"{folder}: there is no .npy file in it or below")
    known = set(annotations.ids.tolist())
    for name, line in wrong.items():
        note(problems, "files that do not fit together", f"{name}: {line}")
    for name, paths in files.items():
        id = next((id for id in (name, name.removeprefix("v_"), f"v_{name}") if id in known), None)
        if id is None:
            note(problems, "features without annotation", name)
        else:
            try:
                yield id, open_features(*paths)
            except (InputError, FileNotFoundError, IsADirectoryError, PermissionError) as error:  # a link may dangle
                note(problems, "unreadable, left out; fetch them again", str(error))


def checked(videos, place, annotations, columns, origin, problems):
    """Those of the ``videos`` at ``place`` that ``annotations`` knows and networks can read; notes on the others."""
    duration = dict(zip(annotations.ids.tolist(), annotations.duration.tolist(), strict=True))
    missing = dict.fromkeys(duration)
    given, misfits, known = 0, [], {}
    for id, features in videos:
        if id not in missing:
            if id in duration:
                note(problems, "features given twice, the first kept", id)
            continue  # of a subset that nobody reads
        del missing[id]
        if features.ndim != 2 or features.shape[1] != columns:
            note(problems, "another width, left out", f"{id}: {features.shape}, not [T, {columns}]")
        elif not len(features):
            note(problems, "no snippets, left out", id)
        else:
            given += 1
            if not as_long(len(features), origin.seconds, duration[id]):
                seconds = len(features) * origin.seconds
                misfits.append(f"{id}: {seconds:.1f} s of features, {duration[id]:.1f} s annotated")
            if (first := known.setdefault(sample_digest(features), id)) != id and not is_empty(features):
                note(problems, "the same features as another video", f"{id}: those of {first}")
            yield id, finite(id, features, place, origin.streams, problems)
    if len(misfits) > given / 2:
        raise InputError(
            f"{place}: {len(misfits)} of {given} videos differ in length from their annotations, such as {misfits[0]}: "
            "features of another order than the annotations, or of another `origin` (frame rate and stride)"
        )
    for line in misfits:
        note(problems, "features and annotation differ in length", line)
    for id in missing:
        note(problems, "annotation without features, left out", id)


def sample_digest(features):
    """A checksum of some rows of ``features`` and of their number."""
    rows = np.ascontiguousarray(features[:: max(len(features) // LOOKED_AT, 1)])
    return features.shape, hashlib.blake2b(rows.tobytes(), digest_size=16).digest()


def is_empty(x):
    """Is ``x`` [T, D] nothing but zeros? Its first row says no of nearly all."""
    return not np.any(x[:1]) and not np.any(x)


def finite(id, features, place, streams, problems):
    """``features`` of a video at ``place`` with 0 in place of NaN and infinity."""
    if features.dtype.kind != "f":
        raise InputError(f"{place}: video {id}: features of type {features.dtype}, expected floating point numbers")
    empty = [is_empty(stream) for stream in np.split(features, streams, axis=1)]
    if all(empty):
        note(problems, "nothing but zeros", id)
    elif any(empty):
        note(problems, "nothing but zeros in one of two streams", id)
    if np.isfinite(features).all():
        return features
    bad = ~np.isfinite(features)
    note(problems, "NaN or infinity, taken as 0", f"{id}: {int(bad.any(1).sum())} of {len(features)} snippets")
    return np.where(bad, 0, features)


def note(problems, kind, line):
    """Add ``line`` to the ``problems`` of its ``kind``."""
    problems.setdefault(kind, []).append(line)
