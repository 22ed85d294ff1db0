"""The settings of a localisation, which every baseline carries: what differs between CO2-Net, DELU and ACRNet."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_type_hints

from msgspec import Meta

from clasnet.errors import InputError
from clasnet.reading import check_settings, expected

Share = Annotated[float, Meta(ge=0, le=1, description="a number from 0 to 1")]
Count = Annotated[int, Meta(ge=1, le=10**6, description="a whole number from 1 on")]
Number = Annotated[float, Meta(ge=-1e9, le=1e9, description="a number")]
Margin = Annotated[float, Meta(ge=0, le=1e6, description="a number from 0 on")]
Positive = Annotated[float, Meta(gt=0, le=1e9, description="a number above 0")]
Thresholds = Annotated[tuple[Share, Share], Meta(description="two numbers from 0 to 1, the second no smaller")]


@dataclass(frozen=True)
class Localization:
    """The settings of a localisation. The defaults are CO2-Net's, but for ``units``."""

    thresholds: Thresholds = (0.1, 0.9)  # first and last threshold on the activity
    num_thresholds: Count = 10
    strict: bool = True  # activity > threshold, else >=
    by_class: bool = False  # is the activity per class (ACRNet) or one for all (attention)?
    class_threshold: Number = 0.2  # classes whose video score reaches it; at least the best one
    frames_per_snippet: Count = 1  # scores are interpolated to this rate before thresholding
    first_frame: Annotated[int, Meta(ge=0, le=1, description="0 or 1")] = 0  # added to both ends (ACRNet counts from 1)
    min_length: Count = 1  # shorter runs are no proposals
    min_length_kept: Count = 1  # shorter proposals are dropped after soft-NMS, where they still lower the others
    margin: Margin = 0.25  # the outside, on each side, in lengths of the proposal
    video_weight: Number = 0.2
    nms_sigma: Positive = 0.3
    nms_iou: Literal["pixel", "real"] = "pixel"  # of inclusive positions, as in released code, or ordinary IoU
    nms_min_iou: Share = 0.0  # overlaps up to this one lower nothing
    units: Literal["seconds", "snippets"] = "seconds"  # in which the authors' THUMOS14 code compares: or whole snippets

    def __post_init__(self):
        check_settings(vars(self), get_type_hints(Localization, include_extras=True))
        if self.thresholds[0] > self.thresholds[1]:
            raise InputError(f"thresholds = {self.thresholds}: must be {expected(Thresholds)}")
