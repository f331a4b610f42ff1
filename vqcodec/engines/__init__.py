"""What runs the networks: lists of layers, by ONNX Runtime on CPUs and by torch elsewhere."""
