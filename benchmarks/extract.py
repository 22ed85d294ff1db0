"""What a video costs: seconds of one core for a snippet, and the memory of a long one.

    python -m benchmarks.extract [MINUTES]        # of the long video; 60 without it

Videos are generated: clouds that drift over the picture. Of the long one only the first snippets go through the real
flow and networks, and the others are read and cut alone: the peak is that of both.
"""

import sys
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from benchmarks.memory import peak_mebibytes
from clasnet.video import extract as extraction
from clasnet.video.extract import flow_clips, rgb_clip, run, snippets
from clasnet.video.flow import tv_l1
from clasnet.video.frames import read_frames
from clasnet.video.i3d import I3D, WIDTH

SIZES = {"16:9": (640, 360), "4:3": (640, 480)}


def write_clouds(path, seconds, size):
    """A video of ``seconds`` of drifting clouds at ``path``, 25 pictures a second."""
    rng, (width, height) = np.random.default_rng(0), size
    clouds = sum(cv2.GaussianBlur(rng.standard_normal((2 * height, 2 * width, 3)), (0, 0), s) * s for s in (3, 9, 27))
    clouds = np.clip(128 + 60 * clouds / clouds.std(), 0, 255).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for i in range(25 * seconds):
            y, x = i % height, 3 * i % width
            picture = np.ascontiguousarray(clouds[y : y + height, x : x + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())


class First:
    """The network ``stream`` for the first batch, then zeros."""

    def __init__(self, stream):
        self.stream, self.left = stream, 1

    def parameters(self):
        return self.stream.parameters()

    def features(self, clips):
        self.left -= 1
        return self.stream.features(clips) if self.left >= 0 else torch.zeros(len(clips), 1, WIDTH)


class FirstFlow:
    """TV-L1 for the first few pairs of pictures, then zeros."""

    def __init__(self):
        self.left = 4

    def __call__(self, first, second):
        self.left -= 1
        return tv_l1(first, second) if self.left >= 0 else np.zeros((*first.shape[:2], 2), np.float32)


def core_seconds(work, *arguments):
    """What ``work`` returns, and how long it kept the cores."""
    start = time.process_time()
    return work(*arguments), time.process_time() - start


def main():
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    streams = I3D(3).eval(), I3D(2).eval()
    print("| picture | flow (s) | both networks (s) |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        for name, size in SIZES.items():
            path = Path(place, "short.mp4")
            write_clouds(path, 1, size)
            snippet = next(snippets(read_frames(path)))
            flow, seconds = core_seconds(flow_clips, [snippet], OneThread())
            clips = rgb_clip(snippet)[None], flow
            networks = sum(core_seconds(run, stream, clip)[1] for stream, clip in zip(streams, clips, strict=True))
            print(f"| {name} | {seconds:.1f} | {networks:.1f} |", flush=True)
        write_clouds(path, 60 * minutes, (160, 90))
        extraction.tv_l1 = FirstFlow()
        features = extraction.extract_features(path, [First(stream) for stream in streams])
    print(f"\n{minutes} minutes, {len(features)} snippets: peak of memory {peak_mebibytes():.0f} MiB")


class OneThread:
    """In place of a pool of threads."""

    map = staticmethod(map)


if __name__ == "__main__":
    main()
