"""Reads the fields of a protobuf message, enough to look into an ONNX file without its package."""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_VARINT_BYTES = 10


class ProtobufError(ValueError):
    """The bytes are no protobuf message."""


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Give field number and value of each field: an integer, or the bytes of whatever it is.

    Raises:
        ProtobufError: if the message ends early or uses a wire type that proto3 does not have.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        length = {FIXED64: 8, FIXED32: 4}.get(wire)
        if wire == BYTES:
            length, at = _varint(message, at)
        if length is None or at + length > len(message):
            raise ProtobufError(f"byte {at}: the message ends early or is none")
        yield number, message[at : at + length]
        at += length


def submessages(message: memoryview, number: int) -> Iterator[memoryview]:
    """Give the values of one repeated message, bytes or string field."""
    for found, value in fields(message):
        if found == number:
            if isinstance(value, int):
                raise ProtobufError(f"field {number}: found an integer, expected bytes")
            yield value


def text(message: memoryview, number: int) -> str:
    """Give a string field; empty if it is not there, the last one if there are several."""
    found = ""
    for value in submessages(message, number):
        found = bytes(value).decode("utf-8", errors="replace")
    return found


def integers(message: memoryview, number: int) -> list[int]:
    """Give the values of an integer field, packed or not."""
    found: list[int] = []
    for field, value in fields(message):
        if field != number:
            continue
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            item, at = _varint(value, at)
            found.append(item)
    return found


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for count in range(MAX_VARINT_BYTES):
        if at + count >= len(message):
            break
        byte = message[at + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, at + count + 1
    raise ProtobufError(f"byte {at}: no integer ends here")
