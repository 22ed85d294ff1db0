"""Object arrays in released ``.npy`` files, read without the power to run code.

The annotation (and feature) packages of this field are pickled NumPy object arrays. ``np.load(allow_pickle=True)`` runs
whatever such a file asks for. The unpicklers here give it nothing of NumPy's own, whose constructors would take
addresses from the file, but the inert stand-ins below, which admit arrays of numbers and text, lists of them, and plain
containers; every other name is refused.
"""

import pickle
import re
import struct
import tokenize
from collections import deque
from pathlib import Path

import numpy as np

from clasnet.errors import InputError


def _text(value):
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


class _Dtype:
    """Stands in for ``numpy.dtype``: numbers, text or objects; only the byte order may be set later."""

    def __init__(self, code, *_):
        code = _text(code)
        if not re.fullmatch(r"[<>=|]?(f[248]|[iu][1248]|b1|O8?|[SU]\d*)", code):
            raise pickle.UnpicklingError(f"it asks for an array of {code!r}")
        self.plain = np.dtype(code)

    def __setstate__(self, state):
        _, order, *rest = state
        fields, flags = rest[:3], rest[5] if len(rest) > 5 else 0
        if any(field is not None for field in fields) or flags not in (0, 8, 63):
            raise pickle.UnpicklingError("it asks for an array of records")
        if _text(order) in "<>":
            self.plain = self.plain.newbyteorder(_text(order))


class _Array:
    """Stands in for ``numpy.ndarray``; ``value`` is the array once its content has come."""

    value = None

    def __init__(self, *_):
        pass

    def __setstate__(self, state):
        _, shape, dtype, fortran, content = state
        if dtype.plain.hasobject:
            self.value = np.empty(len(content), dtype=object)
            self.value[:] = content
            self.value = self.value.reshape(shape, order="F" if fortran else "C")
        else:
            self.value = _numbers(content, dtype, shape, "F" if fortran else "C")


def _numbers(content, dtype, shape, order="C"):
    """``numpy.frombuffer`` for plain dtypes."""
    if dtype.plain.hasobject:
        raise pickle.UnpicklingError("it asks for an array of addresses")
    content = content.encode("latin1") if isinstance(content, str) else content
    return np.frombuffer(content, dtype.plain).reshape(shape, order=_text(order))


def _encode(text, encoding="latin1"):
    """How Python 3 pickles bytes at protocol 2."""
    if _text(encoding) != "latin1":
        raise pickle.UnpicklingError(f"it asks for the codec {encoding!r}")
    return text.encode("latin1")


def _empty_bytes():
    """How Python 3 pickles ``b""`` at protocol 2."""
    return b""


def _scalar(dtype, content):
    """``numpy._core.multiarray.scalar`` for plain dtypes."""
    return _numbers(content, dtype, (1,))[0]


_STAND_INS = {
    ("numpy", "ndarray"): "ndarray",  # only ever an argument of _reconstruct
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _empty_bytes,
}
for _core in ("numpy.core", "numpy._core"):
    _STAND_INS[f"{_core}.multiarray", "_reconstruct"] = _Array
    _STAND_INS[f"{_core}.multiarray", "scalar"] = _scalar
    _STAND_INS[f"{_core}.numeric", "_frombuffer"] = _numbers


class _Restricted:
    """For an unpickler that finds the stand-ins and nothing else."""

    def find_class(self, module, name):
        if (module, name) not in _STAND_INS:
            what = f"{module}.{name}, which is neither a NumPy array nor a plain container"
            raise pickle.UnpicklingError(f"it asks for {what}")
        return _STAND_INS[module, name]


class RestrictedUnpickler(_Restricted, pickle._Unpickler):
    """The unpickler in Python: that in C sets memory aside for whatever number a damaged file names."""

    def load(self):
        return _unwrapped(super().load())


def _unwrapped(value):
    """``value`` with the arrays that its stand-ins stand for."""
    if isinstance(value, _Array):
        value = value.value
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        flat = np.empty(value.size, dtype=object)
        for i, item in enumerate(value.ravel()):
            flat[i] = _unwrapped(item)
        return flat.reshape(value.shape)
    if isinstance(value, (list, tuple)):
        return type(value)(_unwrapped(item) for item in value)
    if isinstance(value, dict):
        return {key: _unwrapped(item) for key, item in value.items()}
    return value


class _ArrayStream(_Restricted, pickle._Unpickler):
    """An unpickler that hands over the arrays of numbers in a pickle as they go by, and keeps none of their bytes.

    The unpickler in Python, not the one in C, because that one holds every byte string until the end, in case the
    pickle refers back to it.
    """

    LARGE = 4096  # bytes; what is smaller, names and dtypes, stays
    dispatch = dict(pickle._Unpickler.dispatch)

    def __init__(self, file):
        super().__init__(file, encoding="bytes")
        self.passed = deque()

    def step_by_step(self):
        """Yield after every array; returns when the pickle ends. Mirrors ``load``, which knows no half-way."""
        self._unframer = pickle._Unframer(self._file_read, self._file_readline)
        self.read, self.readinto = self._unframer.read, self._unframer.readinto
        self.readline = self._unframer.readline
        self.metastack, self.stack, self.proto = [], [], 0
        self.append = self.stack.append
        while True:
            code = self.read(1)
            if not code:
                raise EOFError("it ends too early")
            if code == pickle.STOP:
                return complete(self.stack[-1])
            self.dispatch[code[0]](self)
            while self.passed:
                yield self.passed.popleft()

    def load_build(self):
        super().load_build()
        array = self.stack[-1]
        if isinstance(array, _Array) and not array.value.dtype.hasobject:
            self.passed.append(array.value)
            array.value = None  # the list that holds it needs no content

    dispatch[pickle.BUILD[0]] = load_build

    def _remember(self, position):
        value = self.stack[-1]
        parts = value if isinstance(value, tuple) else (value,)
        if not any(isinstance(part, (bytes, str)) and len(part) > self.LARGE for part in parts):
            self.memo[position] = value

    def load_put(self):
        self._remember(int(self.readline()[:-1]))

    def load_binput(self):
        self._remember(self.read(1)[0])

    def load_long_binput(self):
        self._remember(int.from_bytes(self.read(4), "little"))

    def load_memoize(self):
        self._remembered = getattr(self, "_remembered", -1) + 1  # counts the forgotten too
        self._remember(self._remembered)

    dispatch[pickle.PUT[0]] = load_put
    dispatch[pickle.BINPUT[0]] = load_binput
    dispatch[pickle.LONG_BINPUT[0]] = load_long_binput
    dispatch[pickle.MEMOIZE[0]] = load_memoize


def complete(whole):
    """Raise ``UnpicklingError`` unless the stand-in ``whole`` is of a list of arrays, each another one."""
    entries = whole.value if isinstance(whole, _Array) else None
    if not isinstance(entries, np.ndarray):
        raise pickle.UnpicklingError("it is no list of arrays")
    seen = {}
    for n, entry in enumerate(entries.tolist()):
        if not isinstance(entry, _Array) or entry.value is not None:  # those of numbers have been handed over
            raise pickle.UnpicklingError(f"its entry {n} is no array of numbers")
        if seen.setdefault(id(entry), n) != n:
            raise pickle.UnpicklingError(f"its entries {seen[id(entry)]} and {n} are one array")


def stream_object_array(path):
    """Yield the arrays in the pickled object array of the ``.npy`` file ``path``, in order, one in memory at a time.

    Raises ``InputError`` with one line if the file is damaged, holds anything else, or not as many arrays as its header
    says.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            shape, dtype = _read_header(file)
            if not dtype.hasobject or len(shape) != 1:
                raise ValueError(f"its header says {dtype} {shape}, not a list of arrays")
            count = 0
            for array in _ArrayStream(file).step_by_step():
                yield array
                count += 1
            ended(file)
            if count != shape[0]:
                raise ValueError(f"it holds {count} arrays, its header says {shape[0]}")
        except _DAMAGE as error:
            raise InputError(
                f"{path}: not a readable array of feature arrays, or a truncated one ({_words(error)}); "
                "if it was fetched, remove it and fetch it again"
            ) from None


def load_object_array(path):
    """The array in the ``.npy`` file ``path``, pickled or not.

    Raises ``InputError`` with one line on a file that is no such array.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            shape, dtype = _read_header(file)
            if not dtype.hasobject:
                file.seek(0)
                array = np.load(file, allow_pickle=False)
                ended(file)
                return array
            array = RestrictedUnpickler(file, encoding="bytes").load()
            ended(file)
        except _DAMAGE as error:
            raise InputError(f"{path}: not a readable NumPy array file: {_words(error)}") from None
    if not isinstance(array, np.ndarray) or array.size != np.prod(shape):
        raise InputError(f"{path}: the pickled array does not have the shape {shape} of its header")
    return array


_DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    KeyError,
    ValueError,
    IndexError,
    TypeError,
    AttributeError,
    UnicodeError,
    AssertionError,
    OverflowError,
    MemoryError,
    RecursionError,
    SyntaxError,
    NotImplementedError,
    struct.error,
    tokenize.TokenError,
)


def ended(file):
    """Raise ``ValueError`` unless ``file`` has been read to its end."""
    if file.read(1):
        raise ValueError("more follows after the array")


def _read_header(file):
    """Shape and dtype from the header of a ``.npy`` file."""
    version = np.lib.format.read_magic(file)
    read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}[version[0]]
    shape, _, dtype = read(file)
    return shape, dtype


def _words(error):
    return " ".join(str(error).split()) or type(error).__name__
