"""The finder's network, checkpoints and ONNX files."""
