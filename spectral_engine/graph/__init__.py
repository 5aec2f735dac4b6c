"""The ONNX graph as a trainable torch module; which nodes are coupled; cutting them."""
