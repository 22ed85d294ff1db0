"""Are times in seconds? Annotations and predictions also come in frames, in snippets, or as shares of their video."""

import numpy as np

SHORT = 10  # seconds: of a longer video not everything ends in the first one


def other_units(segments, lengths, what):
    """A line if most ``segments`` [N, 2], of videos of ``lengths`` [N] in seconds, lie outside of these, or if all end
    in the first second of long ones; else an empty one. ``what`` they are is said in it.

    A length is infinite where it is not known.
    """
    late, longest = int((segments[:, 1] > lengths + 1).sum()), segments[:, 1].max(initial=0)
    if late > len(segments) / 2:
        return f"{late} of {len(segments)} {what} end after their video does; times are in seconds"
    if longest <= 1 and len(segments) and SHORT < np.median(lengths) < np.inf:
        return f"none of {len(segments)} {what} ends after 1 s; times are in seconds"
    return ""
