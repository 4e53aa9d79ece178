"""Messages between a worker and its host: a JSON header and arrays, framed.

A frame is the mark `PST1`, the header's length (unsigned 32 bits, little endian), the header as
UTF-8 JSON, then the bytes of each array in C order; dtypes and shapes stand in the header. Needs
Python 3.8 and any numpy: both ends may live in different environments.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any, Sequence  # noqa: UP035 - workers may run under Python 3.8

import numpy as np

MARK = b"PST1"
LONGEST_HEADER = 16 * 2**20
"""No header is larger: a length beyond it is something else that was written to the pipe."""


def send(file: IO[bytes], header: dict[str, Any], arrays: Sequence[Any] = ()) -> None:
    """Write one message. Raises `BrokenPipeError` when nobody reads."""
    packed = [np.ascontiguousarray(array) for array in arrays]
    shapes = [{"dtype": array.dtype.str, "shape": array.shape} for array in packed]
    text = json.dumps({**header, "arrays": shapes}).encode()
    file.write(MARK + struct.pack("<I", len(text)) + text)
    for array in packed:
        file.write(array.tobytes())
    file.flush()


def receive(file: IO[bytes]) -> tuple[dict[str, Any], list[Any]]:
    """Read one message. Raises `EOFError` when the other end has gone, `ValueError` for noise."""
    head = _exactly(file, 8)
    (length,) = struct.unpack("<I", head[4:])
    if head[:4] != MARK or length > LONGEST_HEADER:
        raise ValueError(f"not a message: {bytes(head)!r}")
    header = json.loads(bytes(_exactly(file, length)))
    arrays = []
    for described in header.pop("arrays"):
        dtype = np.dtype(described["dtype"])
        count = int(np.prod(described["shape"], dtype=np.int64))
        raw = _exactly(file, count * dtype.itemsize)
        arrays.append(np.frombuffer(raw, dtype).reshape(described["shape"]))
    return header, arrays


def _exactly(file: IO[bytes], count: int) -> bytearray:
    parts = bytearray()
    while len(parts) < count:
        more = file.read(count - len(parts))
        if not more:
            raise EOFError("the other end of the pipe has gone")
        parts += more
    return parts
