"""The home of onnxruntime: the embedder and the hypernetwork."""
