"""I3D features of videos: snippets of 16 pictures, one after the other, through both streams."""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import torch

from clasnet.video.flow import tv_l1
from clasnet.video.frames import read_frames
from clasnet.video.i3d import SIDE

SNIPPET = 16  # pictures
FASTEST = 20  # pixels of flow between two pictures, to which it is clipped
BATCH = 4  # snippets through a network at once


def extract_features(path, streams, batch=BATCH, on_snippets=None):
    """Features [T, 2048] float32, RGB then flow, of the video ``path``; T is its length over 0.64 s, rounded down.

    ``streams``: of :func:`clasnet.video.weights.load_streams`. At no time are there more pictures in memory than those
    of ``batch`` snippets; flow is computed on as many threads as PyTorch uses. ``on_snippets(n)`` is told of ``n`` more
    snippets. Raises as :func:`clasnet.video.frames.read_frames`, or ``MemoryError`` on a small GPU.
    """
    rows, left = [], snippets(read_frames(path))
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        while some := list(islice(left, batch)):
            flow = flow_clips(some, threads)
            clips = np.stack([rgb_clip(pictures) for pictures in some]), flow
            rows.append(np.concatenate([run(*both) for both in zip(streams, clips, strict=True)], 1))
            if on_snippets:
                on_snippets(len(some))
    return np.concatenate(rows)


def snippets(pictures):
    """Lists of the 16 ``pictures`` of a snippet, and the one after them if there is one.

    An incomplete last snippet is dropped; what is shorter than one is filled up with its last picture.
    """
    held, count = [], 0
    for picture in pictures:
        held.append(picture)
        if len(held) > SNIPPET:
            yield held
            held, count = [picture], count + 1
    if len(held) == SNIPPET or (held and not count):
        yield held + held[-1:] * (SNIPPET - len(held))


def rgb_clip(pictures):
    """The input [3, 16, 224, 224] of the RGB stream, in -1 ... 1, from a list of :func:`snippets`."""
    clip = np.stack([centre(picture) for picture in pictures[:SNIPPET]])
    return np.moveaxis(clip, -1, 0).astype(np.float32) / 127.5 - 1


def flow_clips(some, threads):
    """The input [N, 2, 16, 224, 224] of the flow stream, in -1 ... 1, from N lists of :func:`snippets`.

    Flow is that from a picture to the next one, over the whole picture and then cropped; the last of a video, which has
    no next one, has the flow of the one before.
    """
    pairs = [pair for pictures in some for pair in zip(pictures, pictures[1:], strict=False)]
    flow = threads.map(lambda pair: centre(tv_l1(*pair)), pairs)
    clips = []
    for pictures in some:
        clip = list(islice(flow, len(pictures) - 1))
        clips.append(np.stack(clip + clip[-1:] * (SNIPPET - len(clip))))
    return np.moveaxis(np.stack(clips), -1, 1).clip(-FASTEST, FASTEST) / FASTEST


def centre(picture):
    """The middle of ``picture`` [H, W, channels], 224 × 224."""
    top, left = ((side - SIDE) // 2 for side in picture.shape[:2])
    return picture[top : top + SIDE, left : left + SIDE]


@torch.inference_mode()
def run(stream, clips):
    """The features [N, 1024] of ``clips`` [N, channels, 16, 224, 224] by the network ``stream``, on its device."""
    try:
        clips = torch.from_numpy(clips).to(next(stream.parameters()).device)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # whose ten bits change the third digit
            return stream.features(clips)[:, 0].cpu().numpy()
    except torch.OutOfMemoryError:
        raise MemoryError(f"the device has no room for {len(clips)} snippets at once; take a smaller --batch") from None
