"""What a product of float32 is on a CUDA device: of whole factors, or of TF32's, with 10 bits of their fraction."""

import torch


def set_tf32(allowed):
    """Have convolutions and matrix products of float32 on CUDA devices round their factors to TF32, or not.

    For this whole process. PyTorch by itself rounds those of convolutions and not those of matrix products. A CPU takes
    no notice.
    """
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
