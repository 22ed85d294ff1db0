"""Object arrays in released ``.npy`` files, read without the power to run code.

The annotation (and feature) packages of this field are pickled NumPy object arrays. ``np.load(allow_pickle=True)`` runs
whatever such a file asks for; the unpickler here admits arrays, scalars and plain containers, and refuses every other name.
"""

import pickle
from pathlib import Path

import numpy as np

_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),  # how Python 3 pickles bytes at protocol 2
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
}


class RestrictedUnpickler(pickle.Unpickler):
    """An unpickler for NumPy arrays and plain containers; any other global raises ``UnpicklingError``."""

    def find_class(self, module, name):
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is neither a NumPy array nor a plain container")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load_object_array(path):
    """The array in the ``.npy`` file ``path``, pickled or not. Raises ``ValueError`` with one line on a file that is no such array."""
    path = Path(path)
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read_header = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}[version[0]]
            shape, fortran, dtype = read_header(file)
            if not dtype.hasobject:
                file.seek(0)
                return np.load(file, allow_pickle=False)
            array = RestrictedUnpickler(file, encoding="bytes").load()
        except (pickle.UnpicklingError, EOFError, KeyError, ValueError) as error:
            raise ValueError(f"{path}: not a readable NumPy array file: {error}") from None
    if not isinstance(array, np.ndarray) or array.size != np.prod(shape):
        raise ValueError(f"{path}: the pickled array does not have the shape {shape} of its header")
    return array
