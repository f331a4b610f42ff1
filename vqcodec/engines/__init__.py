"""What runs the networks: lists of layers, and ONNX Runtime on CPUs. Needs no torch."""
