"""The settings of a localisation, which every baseline carries: what differs between CO2-Net, DELU and ACRNet."""

from dataclasses import dataclass

from clasnet.errors import InputError


@dataclass(frozen=True)
class Localization:
    """The settings of a localisation. The defaults are CO2-Net's, but for ``units``."""

    thresholds: tuple[float, float] = (0.1, 0.9)  # first and last threshold on the activity
    num_thresholds: int = 10
    strict: bool = True  # activity > threshold, else >=
    by_class: bool = False  # is the activity per class (ACRNet) or one for all (attention)?
    class_threshold: float = 0.2  # classes whose video score reaches it; at least the best one
    frames_per_snippet: int = 1  # scores are interpolated to this rate before thresholding
    first_frame: int = 0  # added to both ends of a run (ACRNet counts frames from 1)
    min_length: int = 1  # shorter runs are no proposals
    min_length_kept: int = 1  # shorter proposals are dropped after soft-NMS, where they still lower the others
    margin: float = 0.25  # the outside, on each side, in lengths of the proposal
    video_weight: float = 0.2
    nms_sigma: float = 0.3
    nms_iou: str = "pixel"  # "pixel": ends are inclusive positions, as in released code; "real": ordinary IoU
    nms_min_iou: float = 0.0  # overlaps up to this one lower nothing
    units: str = "seconds"  # in what the authors' THUMOS14 code compares with annotations, or whole "snippets"

    def __post_init__(self):
        for key, good, expected in (
            ("nms_iou", self.nms_iou in ("pixel", "real"), "pixel or real"),
            ("units", self.units in ("seconds", "snippets"), "seconds or snippets"),
            ("nms_sigma", self.nms_sigma > 0, "a number above 0"),
            ("num_thresholds", self.num_thresholds >= 1, "a number from 1 on"),
            ("thresholds", self.thresholds[0] <= self.thresholds[1], "the first and the last, which is no smaller"),
            ("margin", self.margin >= 0, "a number from 0 on"),
        ):
            if not good:
                raise InputError(f"{key} = {getattr(self, key)!r}: must be {expected}")
