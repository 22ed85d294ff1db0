"""Thumbnails for the page's explorer, of videos that lie in data/own/<data set>/videos/<id> with any ending."""

import base64
import io
from pathlib import Path

from clasnet.errors import InputError
from clasnet.video.frames import thumbnails

COUNT, SHORTER, QUALITY = 8, 72, 70  # pictures a video, pixels of the shorter side, of JPEG


def folder_of(dataset):
    """Where the video files of ``dataset`` are looked for."""
    return Path("data/own") / dataset / "videos"


def pictures(dataset, id, seconds):
    """``COUNT`` pictures from the middle of equal parts of the ``seconds`` of a video: pairs (seconds, JPEG as a data
    URL). None where there is no file of it; of one that cannot be read, which is said.
    """
    files = sorted(path for path in folder_of(dataset).glob("*") if path.stem == id and path.is_file())
    try:
        found = thumbnails(files[0], seconds, COUNT, SHORTER) if files else []
        return [(round(float(at), 2), as_url(picture)) for at, picture in found]
    except (InputError, OSError) as error:
        print(f"report: no pictures of {id}: {error}")
        return []


def as_url(picture):
    """``picture`` [H, W, 3] uint8 as a JPEG in a data URL."""
    from PIL import Image  # which Matplotlib needs, so it is there

    content = io.BytesIO()
    Image.fromarray(picture).save(content, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
