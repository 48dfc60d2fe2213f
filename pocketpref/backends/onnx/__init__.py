"""ONNX Runtime backends: the embedder and the hypernetwork."""
