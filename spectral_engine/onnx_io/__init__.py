"""ONNX files: untrusted bytes in, checked graphs out, and back."""
