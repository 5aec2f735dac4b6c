"""The metric of ONNX files on rows that were never trained on, and a blunt look beside it."""
