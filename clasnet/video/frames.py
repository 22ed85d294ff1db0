"""The pictures of a video file: decoded one after the other, 25 a second, upright, the shorter side 256 pixels."""

from contextlib import contextmanager

import numpy as np

from clasnet.errors import InputError
from clasnet.video.optional import optional

RATE = 25  # pictures a second
SHORTER = 256  # pixels
MOST_ELONGATED = 16  # times as long as wide
LONGEST_STILL = 3600  # seconds of one picture; more means wrong timestamps
FORMATS = (  # those of FFmpeg's that hold moving pictures, and no text, single picture or list of other files
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg,gif,apng,mxf,nut,rm,swf,wtv,dv,"
    "h261,h263,h264,hevc,vvc,evc,av1,obu,ivf,m4v,mjpeg,vc1,yuv4mpegpipe,dirac,nsv,roq"
)
SLACK = 0.5, 0.01  # seconds, and a share of all, by which a whole video may end before the time that it states


def read_frames(path):
    """The pictures of the video ``path``, [H, W, 3] uint8 RGB, as a player shows them in the middle of each 1/25 s.

    A picture that is shown for longer comes again as the same object. No earlier one is held. Raises
    ``FileNotFoundError``, or ``InputError`` with one line if the file is no video or ends before its end.
    """
    with opened(path) as (container, stream):
        decoded, picture, size = None, None, None
        for frame in resample(timed_frames(container, stream, path)):
            if frame is not decoded:
                size = size or scaled_size(frame, stream, SHORTER, path)  # that of the first, whatever follows
                decoded, picture = frame, upright(frame, size)
            yield picture


def resample(timed, rate=RATE):
    """What is shown in the middle of each 1/``rate`` s, of pairs (seconds, what is shown from then on).

    The last pair says when it ends. What is shorter than half of 1/``rate`` s is shown once.
    """
    count, start, shown = 0, None, None
    for seconds, frame in timed:
        start = seconds if start is None else start
        while shown is not None and (count + 0.5) / rate < seconds - start:
            yield shown
            count += 1
        if frame is not None:
            shown = frame
    if not count and shown is not None:
        yield shown


def video_seconds(path):
    """How long the video ``path`` says that it is; None if it does not. Raises as :func:`read_frames`."""
    with opened(path) as (container, stream):
        return stated_seconds(container, stream)


def thumbnails(path, seconds, count=8, shorter=120):
    """``count`` pictures of the video ``path``, from the middle of equal parts of its first ``seconds``.

    Pairs (seconds, [H, W, 3] uint8 RGB), the shorter side of ``shorter`` pixels; fewer where the file cannot tell. It
    jumps to each, so that those of a long video take no longer.
    """
    found = []
    with opened(path) as (container, stream):
        for wanted in (np.arange(count) + 0.5) * seconds / count:
            frame = frame_at(container, stream, wanted)
            if frame is not None:
                found.append((wanted, upright(frame, scaled_size(frame, stream, shorter, path))))
    return found


@contextmanager
def opened(path):
    """The container and the stream of pictures of the video ``path``; raises as :func:`read_frames`."""
    av = optional("av")
    try:
        how = {"metadata_errors": "replace", "options": {"format_whitelist": FORMATS}}
        with av.open(f"file:{path}", **how) as container:  # a name with a colon is no address
            cover = av.stream.Disposition.attached_pic  # of a sound file
            streams = [s for s in container.streams.video if s.codec_context and not s.disposition & cover]
            if not streams:
                raise InputError(f"{path}: holds no moving pictures that can be decoded")
            yield container, streams[0]
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except (IsADirectoryError, PermissionError) as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    except av.FFmpegError as error:
        raise InputError(f"{path}: not a video, or a damaged one ({error.strerror}); {_remedy(path)}") from None


def timed_frames(container, stream, path):
    """Pairs (seconds, frame) in the order in which they are shown, and at last (seconds of the end, None)."""
    start, last, end = None, None, None
    for frame in container.decode(stream):
        seconds = frame.time if frame.time is not None else end or 0.0
        if last is not None and not -1 < seconds - last < LONGEST_STILL:
            raise InputError(f"{path}: its timestamps jump from {last:.1f} s to {seconds:.1f} s; {_remedy(path)}")
        yield seconds, frame
        start = seconds if start is None else start
        last, end = seconds, seconds + frame_seconds(frame, stream)
    if end is None:
        raise InputError(f"{path}: holds no frame that can be decoded")
    stated = stated_seconds(container, stream) or 0
    if end - start < stated - SLACK[0] - SLACK[1] * stated:
        raise InputError(f"{path}: its pictures end after {end - start:.1f} s of {stated:.1f} s; {_remedy(path)}")
    yield end, None


def _remedy(path):
    return f"if it is truncated or damaged, ffmpeg -i {path} whole.mp4 keeps what is there"


def frame_seconds(frame, stream):
    """How long ``frame``, the last one, is shown."""
    if frame.duration:
        return float(frame.duration * frame.time_base)
    return float(1 / (stream.average_rate or RATE))


def stated_seconds(container, stream):
    """How long the pictures of ``stream`` last by what the file says; None if it does not."""
    if container.format.name == "avi" and stream.average_rate:  # its duration is guessed by its size, if it is cut
        return float(stream.frames / stream.average_rate)
    if stream.duration:
        return float(stream.duration * stream.time_base)
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")  # Matroska's
    minutes, _, seconds = rest.partition(":")
    try:
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return None


def frame_at(container, stream, seconds):
    """The frame that is shown ``seconds`` after the start; None if that cannot be told."""
    ticks = (stream.start_time or 0) + round(seconds / stream.time_base)
    try:
        container.seek(ticks, stream=stream)
    except optional("av").FFmpegError:
        return None
    shown = None
    for frame in container.decode(stream):
        if shown is None and not frame.key_frame:
            continue  # decoded from the middle, which only some formats can avoid
        if shown is not None and (frame.pts is None or frame.pts > ticks):
            break
        shown = frame
    return shown


def scaled_size(frame, stream, shorter, path):
    """Width and height of ``frame``, before it is turned upright, when its shorter side has ``shorter`` pixels.

    Pixels that are not square become so. Raises ``InputError`` for a strip.
    """
    sides = frame.width * float(stream.sample_aspect_ratio or 1), frame.height
    if max(sides) > MOST_ELONGATED * min(sides):
        raise InputError(f"{path}: {frame.width} × {frame.height} pixels: a strip, not a picture")
    return tuple(round(side * shorter / min(sides)) for side in sides)


def upright(frame, size):
    """``frame`` as [H, W, 3] uint8 RGB, scaled (bilinear) to the width and height ``size``, then turned as it says."""
    picture = frame.reformat(*size, format="rgb24", interpolation="BILINEAR").to_ndarray()
    return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90)))
