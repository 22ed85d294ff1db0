"""I3D features of videos of your own, two streams of 1024 numbers every 0.64 s, as this field uses them.

    python -m clasnet.extract video.mp4 another.mkv --out features

Writes `features/<name of the video>.npy` of `[T, 2048]` (RGB, then flow), which `clasnet.localize` reads. A video whose
file is there already is left out, so after a break the same command goes on.
"""

import argparse
import sys
from pathlib import Path

from clasnet.command import command

UNKNOWN = """\
How: 25 pictures a second, the shorter side 256 pixels (bilinear), the middle 224 x 224 of them; TV-L1 flow by OpenCV
from picture to picture, clipped to 20 pixels; snippets of 16 pictures, an incomplete last one dropped.

What is not known: which TV-L1 code and which resizing W-TALC used for the packages that this field trains on. Features
made here differ from those by more than rounding; by how much was not measured.
"""


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m clasnet.extract",
        description=__doc__,
        epilog=UNKNOWN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("videos", nargs="+", help="video files, of any kind that FFmpeg reads")
    parser.add_argument("--out", default="features", type=Path, help="folder of the features (default: %(default)s)")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FOLDER",
        help="folder with rgb_imagenet.pt and flow_imagenet.pt, the published ones or your own of the same shapes "
        "(default: the published ones, fetched once, 2 x 50 MB)",
    )
    parser.add_argument("--device", help="cpu or cuda, for the networks (default: cuda where there is one)")
    parser.add_argument("--batch", default=4, type=positive, help="snippets at once (default: %(default)s)")
    given = parser.parse_args(arguments)
    with command("clasnet.extract"):
        wrong = extract_files(given)
        print(f"{given.out}: {len(given.videos) - len(wrong)} of {len(given.videos)} videos")
    if wrong:
        sys.exit("\n".join(f"clasnet.extract: {line}" for line in wrong.values()))


def positive(text):
    """The whole number ``text``, from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1 on")
    return int(text)


def extract_files(given):
    """Extract from all videos; lines about those that could not be read, by id."""
    from clasnet.models.device import usable_device  # --help needs no PyTorch
    from clasnet.video.folder import extract_videos, videos_by_id

    videos, device = videos_by_id(given.videos), usable_device(given.device)
    return extract_videos(videos, given.out, weights=given.weights, device=device, batch=given.batch)


if __name__ == "__main__":
    main()
