"""Looks into an ONNX file before the runtime does: known operators, weights from one file only.

Field numbers are those of the ONNX protobuf definition (onnx.proto3).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from service.artifacts.protobuf import fields, integers, submessages, text

MODEL_GRAPH, MODEL_TRAINING, MODEL_FUNCTIONS = 7, 20, 25
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_SPARSE = 1, 5, 15
FUNCTION_NODE = 7
NODE_OP, NODE_ATTRIBUTE, NODE_DOMAIN = 4, 5, 7
ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS, ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
TENSOR_DIMS, TENSOR_TYPE, TENSOR_EXTERNAL, TENSOR_LOCATION = 1, 2, 13, 14
ENTRY_KEY, ENTRY_VALUE = 1, 2
EXTERNAL = 1
MAX_NESTING = 8

# ONNX element type -> safetensors name.
TYPE_NAMES: Mapping[int, str] = {
    1: "F32", 2: "U8", 3: "I8", 5: "I16", 6: "I32", 7: "I64", 9: "BOOL", 10: "F16", 11: "F64",
}  # fmt: skip
TYPE_BYTES: Mapping[str, int] = {
    "F32": 4, "U8": 1, "I8": 1, "I16": 2, "I32": 4, "I64": 8, "BOOL": 1, "F16": 2, "F64": 8,
}  # fmt: skip

OPERATORS = frozenset({
    "Abs", "Acos", "Add", "And", "ArgMax", "ArgMin", "Asin", "Atan", "Cast", "CastLike", "Ceil",
    "Clip", "Concat", "Constant", "ConstantOfShape", "Conv", "Cos", "CumSum", "Div", "Einsum",
    "Elu", "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "GRU", "Gather",
    "GatherElements", "GatherND", "Gelu", "Gemm", "GlobalAveragePool", "Greater",
    "GreaterOrEqual", "Identity", "If", "LSTM", "LeakyRelu", "Less", "LessOrEqual", "Log",
    "LogSoftmax", "Loop", "MatMul", "Max", "MaxPool", "Mean", "Min", "Mod", "Mul", "Neg",
    "NonZero", "Not", "OneHot", "Or", "Pad", "Pow", "Range", "Reciprocal", "ReduceMax",
    "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape",
    "Round", "Scan", "ScatterElements", "ScatterND", "Selu", "Shape", "Sigmoid", "Sign", "Sin",
    "Size", "Slice", "Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tan",
    "Tanh", "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Where", "Xor",
})  # fmt: skip
DOMAINS = frozenset({"", "ai.onnx"})


class GraphError(ValueError):
    """A graph that asks for more than a network needs."""


@dataclass(frozen=True)
class Span:
    """A tensor's place in the weights file: absolute bytes, element type and shape."""

    offset: int
    length: int
    dtype: str
    shape: tuple[int, ...]


def check_graph(model: bytes, weights_file: str, spans: frozenset[Span]) -> None:
    """Refuse a model with unknown operators, or weights that are not tensors of `weights_file`.

    Raises:
        GraphError: naming what was found and what is expected.
        ProtobufError: if the bytes are no ONNX model.
    """
    message = memoryview(model)
    graphs = list(submessages(message, MODEL_GRAPH))
    if len(graphs) != 1:
        raise GraphError(f"found {len(graphs)} graphs, expected 1")
    for number, what in ((MODEL_TRAINING, "training"), (MODEL_FUNCTIONS, "functions")):
        if any(True for _ in submessages(message, number)):
            raise GraphError(f"found {what}, expected a graph of plain operators")
    for tensor in _tensors(graphs[0], 0):
        _check_tensor(tensor, weights_file, spans)


def _tensors(graph: memoryview, depth: int) -> Iterator[memoryview]:
    """Give all tensors of a graph and of the graphs inside it, checking operators on the way."""
    if depth > MAX_NESTING:
        raise GraphError(f"found graphs nested deeper than {MAX_NESTING}")
    for number, value in fields(graph):
        if isinstance(value, int):
            continue
        if number == GRAPH_SPARSE:
            raise GraphError("found a sparse initialiser, expected dense ones")
        if number == GRAPH_INITIALIZER:
            yield value
        if number == GRAPH_NODE:
            _check_operator(value)
            for attribute in submessages(value, NODE_ATTRIBUTE):
                yield from _attribute_tensors(attribute, depth)


def _attribute_tensors(attribute: memoryview, depth: int) -> Iterator[memoryview]:
    for number, value in fields(attribute):
        if isinstance(value, int):
            continue
        if number in ATTRIBUTE_SPARSE:
            raise GraphError("found a sparse tensor, expected dense ones")
        if number in ATTRIBUTE_TENSORS:
            yield value
        if number in ATTRIBUTE_GRAPHS:
            yield from _tensors(value, depth + 1)


def _check_operator(node: memoryview) -> None:
    name, domain = text(node, NODE_OP), text(node, NODE_DOMAIN)
    if domain not in DOMAINS or name not in OPERATORS:
        raise GraphError(f"found operator {domain or 'ai.onnx'}.{name}, which is not allowed")


def _check_tensor(tensor: memoryview, weights_file: str, spans: frozenset[Span]) -> None:
    entries = {
        text(entry, ENTRY_KEY): text(entry, ENTRY_VALUE)
        for entry in submessages(tensor, TENSOR_EXTERNAL)
    }
    is_external = EXTERNAL in integers(tensor, TENSOR_LOCATION)
    if not entries and not is_external:
        return
    if entries.get("location") != weights_file:
        raise GraphError(f"found external data, expected it in {weights_file} only")
    if _span(tensor, entries) not in spans:
        raise GraphError(f"found external data that is no whole tensor of {weights_file}")


def _span(tensor: memoryview, entries: Mapping[str, str]) -> Span | None:
    kinds = integers(tensor, TENSOR_TYPE)
    shape = tuple(integers(tensor, TENSOR_DIMS))
    dtype = TYPE_NAMES.get(kinds[-1]) if kinds else None
    offset, length = entries.get("offset", ""), entries.get("length", "")
    if dtype is None or not (offset.isdecimal() and length.isdecimal()):
        return None
    if int(length) != math.prod(shape) * TYPE_BYTES[dtype]:
        return None
    return Span(int(offset), int(length), dtype, shape)
