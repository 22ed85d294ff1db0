from pathlib import Path

import pytest
import torch

SHARED = Path(__file__).parents[2] / "shared"

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared():
    """The folder of real annotations and parity vectors, where there is one."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside the repository")
    return SHARED
