"""Prune one file with onnxsim, in an interpreter that has it: python rival.py IN OUT."""

import sys

import onnx
from onnxsim import pruning

SHARE = 0.5


def main() -> None:
    source, target = sys.argv[1:]
    model = onnx.load(source)
    model = pruning.apply_structured_pruning(model, sparsity=SHARE)
    model = pruning.apply_attention_head_pruning(model, sparsity=SHARE)
    onnx.save(model, target)


if __name__ == "__main__":
    main()
