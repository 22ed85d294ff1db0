"""Optical flow between neighbouring pictures: TV-L1 (Zach, Pock and Bischof, DAGM 2007), as OpenCV's contrib has it."""

import threading

import numpy as np

from clasnet.errors import InputError
from clasnet.video.optional import optional

_own = threading.local()  # a solver holds the pictures that it works on, so each thread has one


def tv_l1(first, second):
    """How far each pixel moves from ``first`` to ``second``, both [H, W, 3] uint8 RGB.

    In pixels, [H, W, 2] float32: to the right, and down. All zeros for one and the same picture.
    """
    if first is second:
        return np.zeros((*first.shape[:2], 2), np.float32)
    cv2 = optional("cv2")
    if not hasattr(_own, "solver"):
        _own.solver = _solver(cv2)
    return _own.solver.calc(*(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (first, second)), None)


def _solver(cv2):
    cv2.setNumThreads(1)  # pairs of pictures run side by side, which scales better than one pair on many threads
    if not hasattr(cv2, "optflow"):
        raise InputError("the OpenCV that is installed has no TV-L1 (cv2.optflow): pip install 'clasnet[video]'")
    return cv2.optflow.DualTVL1OpticalFlow_create()
