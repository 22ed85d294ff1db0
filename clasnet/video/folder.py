"""Many videos to a folder of feature files, one after the other; what is done is not done again."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from clasnet.data.datasets import SNIPPET_SECONDS
from clasnet.data.features import as_long, open_features
from clasnet.errors import InputError
from clasnet.files import replacing, write_json
from clasnet.reading import read_json
from clasnet.video.extract import BATCH, extract_features
from clasnet.video.frames import video_seconds
from clasnet.video.i3d import WIDTH
from clasnet.video.weights import load_streams, weight_files

UNREADABLE = InputError, FileNotFoundError, IsADirectoryError, PermissionError  # what one video may be, and others not


def extract_videos(videos, folder, *, weights=None, device="cpu", batch=BATCH):
    """Write the features [T, 2048] of ``videos``, id to path, to ``folder/<id>.npy``, with a progress bar.

    Those that are there, of a video of as many bytes and not older than it, stay. ``weights``: a folder, as in
    :func:`clasnet.video.weights.weight_files`. Returns id to a line about each video that could not be read. Raises
    ``InputError`` or ``OSError`` for what concerns all.
    """
    files = weight_files(weights)
    claim(folder, {path.name: content for path, content in files.items()})
    sizes = read_sizes(folder)
    todo = {id: path for id, path in videos.items() if not is_done(feature_file(folder, id), path, sizes.get(id))}
    lengths, wrong = survey(todo)
    streams = load_streams(files, device) if lengths else None
    with tqdm(total=sum(lengths.values()), unit="snippet", disable=None) as bar:
        for id in lengths:
            bar.set_description(id)
            try:
                features = extract_features(todo[id], streams, batch, bar.update)
            except UNREADABLE as error:
                wrong[id] = str(error)
                continue
            with replacing(feature_file(folder, id)) as partial, open(partial, "wb") as file:
                np.save(file, features)
            write_json(sizes_file(folder), read_sizes(folder) | {id: todo[id].stat().st_size})
    return wrong


def videos_by_id(paths):
    """Video ids, which are the names of the files ``paths`` without their endings, to the paths.

    Raises ``InputError`` where two have the same, or one that a feature file of one stream would have.
    """
    videos = {}
    for path in map(Path, paths):
        if videos.setdefault(path.stem, path) != path:
            raise InputError(f"{path} and {videos[path.stem]}: two videos of one name; rename one, or extract it apart")
        if path.stem.endswith(("_rgb", "_flow")):
            raise InputError(f"{path}: features of a name in _rgb or _flow are read as one stream; rename the video")
    return videos


def feature_file(folder, id):
    """Where the features of the video ``id`` are in ``folder``."""
    return Path(folder, f"{id}.npy")


def sizes_file(folder):
    """Where it is kept of which videos the features in ``folder`` are."""
    return Path(folder, "videos.json")


def read_sizes(folder):
    """Id to the number of bytes of the video that the features in ``folder`` were made from."""
    return read_json(sizes_file(folder), dict[str, int]) if sizes_file(folder).exists() else {}


def is_done(features, video, size):
    """Is the file ``features`` there, whole, not older than the file ``video``, as long as that, and made from one of
    ``size`` bytes, which it has? Another video of that name may be as long and as old. ``size`` is None of features of
    an earlier version, which kept none: their extraction takes hours.
    """
    if not features.exists() or not video.exists() or features.stat().st_mtime < video.stat().st_mtime:
        return False
    if size not in (None, video.stat().st_size):
        return False
    try:
        found, seconds = open_features(features), video_seconds(video)
    except UNREADABLE:  # damaged: it is made again; and of a video, the extraction tells
        return False
    of_it = seconds is None or as_long(len(found), SNIPPET_SECONDS, seconds)
    return of_it and found.shape[1] == 2 * WIDTH


def survey(videos):
    """The number of snippets of each of ``videos``, about, by id; and a line about those that cannot be read."""
    lengths, wrong = {}, {}
    for id, path in videos.items():
        try:
            lengths[id] = max(int((video_seconds(path) or 0) / SNIPPET_SECONDS), 1)
        except UNREADABLE as error:
            wrong[id] = str(error)
    return lengths, wrong


def claim(folder, weights):
    """Keep in ``folder`` which ``weights`` its features are of (file name to Git's name of the content).

    Raises ``InputError`` if it holds those of others, or of nobody knows which: one folder for both would mix them
    unseen.
    """
    record = Path(folder, "weights.json")
    if not any(Path(folder).glob("*.npy")):  # weights that could not be read may have claimed it
        return write_json(record, weights)
    if not record.exists():
        raise InputError(f"{folder}: holds features, but no {record.name}, which says of which weights; take another")
    if read_json(record, dict[str, str]) != weights:
        raise InputError(f"{folder}: its features are of other weights ({record}); take another folder")
