"""What runs the networks: ONNX Runtime, or torch as the oracle, behind one protocol."""
