"""ONNX graphs made smaller, and rid of what the exporter says about the machine it ran on."""

from __future__ import annotations

from typing import Any

import numpy as np


def rounded(data: bytes) -> bytes:
    """A graph with its large weights in int8 with float scales, and without descriptions.

    Args:
        data: a graph in float32, whole in one file.
    """
    import onnx

    model = onnx.load_from_string(data)
    graph = model.graph
    weights = {w.name: w for w in graph.initializer}
    nodes: list[Any] = []
    for node in graph.node:
        place, axis = {"MatMul": (1, 0), "Gather": (0, 1)}.get(node.op_type, (0, None))
        tensor = weights.get(node.input[place])
        if axis is None or tensor is None or np.prod(tensor.dims) < 100_000:
            nodes.append(node)
            continue
        _store_rounded(graph, tensor, axis)
        nodes += _restoring(node, tensor.name)
    del graph.node[:]
    graph.node.extend(nodes)
    _strip(model)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def described_by_nobody(data: bytes) -> bytes:
    """A graph without what the exporter noted: stack traces with paths of this machine."""
    import onnx

    model = onnx.load_from_string(data)
    _strip(model)
    return bytes(model.SerializeToString())


def _store_rounded(graph: Any, tensor: Any, axis: int) -> None:
    """Store q and s with weight = q * s, |q| <= 127, one s for each place across ``axis``."""
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor)
    scale = np.maximum(np.abs(values).max(axis=axis, keepdims=True), 1e-12) / 127
    rounded = np.rint(values / scale).astype(np.int8)
    graph.initializer.remove(tensor)
    graph.initializer.append(numpy_helper.from_array(rounded, f"{tensor.name}.int8"))
    graph.initializer.append(numpy_helper.from_array(scale, f"{tensor.name}.scale"))


def _restoring(node: Any, name: str) -> list[Any]:
    """The nodes that stand for ``node`` once its weight is rounded.

    A matrix is restored whole, which onnxruntime does once, on loading (constant folding); of an
    embedding table only the rows asked for are, so that it stays small in memory.
    """
    from onnx import TensorProto, helper

    if node.op_type == "MatMul":
        cast = helper.make_node("Cast", [f"{name}.int8"], [f"{name}.cast"], to=TensorProto.FLOAT)
        return [cast, helper.make_node("Mul", [f"{name}.cast", f"{name}.scale"], [name]), node]
    rows, out = node.input[1], node.output[0]
    return [
        helper.make_node("Gather", [f"{name}.int8", rows], [f"{out}.int8"]),
        helper.make_node("Gather", [f"{name}.scale", rows], [f"{out}.scale"]),
        helper.make_node("Cast", [f"{out}.int8"], [f"{out}.cast"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{out}.cast", f"{out}.scale"], [out]),
    ]


def _strip(model: Any) -> None:
    """Remove what the exporter noted about each node: stack traces with paths of this machine."""
    graph = model.graph
    owners = (model, graph, *graph.node, *graph.initializer)
    for owner in (*owners, *graph.input, *graph.output):
        del owner.metadata_props[:]
        owner.doc_string = ""
    del graph.value_info[:]
    # Not in the numbers, where three bytes stand beside one another by chance.
    named = type(model)()
    named.CopyFrom(model)
    del named.graph.initializer[:]
    if any(part in named.SerializeToString() for part in (b".py", b"site-packages")):
        raise SystemExit("the model still names files of this machine")
