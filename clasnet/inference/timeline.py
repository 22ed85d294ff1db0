"""A picture of what a model finds in one video."""

import matplotlib.pyplot as plt
import numpy as np

PURPLE, GREY = "#8E4585", "#777777"
ROWS = 6  # classes shown at most
THUMBNAILS = 8  # for which there is room


def disjoint(actions):
    """Those of ``actions``, best first, that do not overlap a better one of their class."""
    kept = {}
    for action in actions:
        start, end = action["segment"]
        own = kept.setdefault(action["label"], [])
        if all(end <= a["segment"][0] or start >= a["segment"][1] for a in own):
            own.append(action)
    return [action for own in kept.values() for action in own]


def draw_timeline(actions, attention, seconds, title, thumbnails=()):
    """A figure of one video of ``seconds``: its ``attention`` [N] over time, and what was found in it.

    That is the best disjoint ones of ``actions``, by class, paler the lower their score. Below are up to ``THUMBNAILS``
    ``thumbnails``, pairs (seconds, [H, W, 3] uint8 RGB), each centred at its time.
    """
    shown = disjoint(actions)
    labels = list(dict.fromkeys(action["label"] for action in shown))[:ROWS]
    room = 0.35 * len(labels)
    heights = [1.6, 0.4 + room, *([0.9] if thumbnails else [])]
    size = 9, 0.6 + sum(heights)
    figure, (top, bottom, *below) = plt.subplots(
        len(heights), 1, figsize=size, sharex=True, layout="constrained", height_ratios=heights
    )
    time = (np.arange(len(attention)) + 0.5) * seconds / len(attention)
    top.fill_between(time, attention, color=GREY, alpha=0.2, linewidth=0)
    top.plot(time, attention, color=GREY, linewidth=1.2)
    top.set(ylabel="attention", ylim=(0, 1), xlim=(0, seconds), title=title)
    best = max((action["score"] for action in shown), default=1.0)
    for action in shown:
        if action["label"] in labels:
            draw_action(bottom, action, labels.index(action["label"]), best)
    bottom.set_yticks([-row for row in range(len(labels))], labels)
    bottom.set(ylim=(-len(labels) + 0.4, 0.6), xlabel="time (s); full colour: the best score")
    for axis in (top, bottom):
        axis.spines[["top", "right"]].set_visible(False)
    if thumbnails:
        bottom.tick_params(labelbottom=True)
        draw_thumbnails(*below, thumbnails, seconds)
    return figure


def draw_thumbnails(axis, thumbnails, seconds):
    """The ``thumbnails`` of a video of ``seconds`` in a row, as large as there is room."""
    axis.set_axis_off()
    axis.figure.draw_without_rendering()  # lays the figure out, which gives the axis its size
    width, height = axis.get_window_extent().size
    for time, picture in thumbnails:
        high, wide = picture.shape[:2]
        scale = min(0.96 * width / THUMBNAILS / wide, height / high)
        half, bottom = scale * wide / width * seconds / 2, 1 - scale * high / height
        axis.imshow(picture, extent=(time - half, time + half, bottom, 1), aspect="auto")
    axis.set(xlim=(0, seconds), ylim=(0, 1))


def draw_action(axis, action, row, best):
    """A bar for ``action`` in the ``row``-th row, paler the lower its score is than ``best``."""
    start, end = action["segment"]
    strength = float(np.clip(action["score"] / best, 0.12, 1)) if best > 0 else 0.12
    axis.broken_barh([(start, end - start)], (-row - 0.35, 0.7), color=PURPLE, alpha=strength, linewidth=0)
