"""Imports ahead what a job needs when it is at work: for a process from which those of jobs are forked.

Only what starts no thread: onnxruntime and pyarrow do, and are imported by the job itself.
"""

# ruff: noqa: F401

import torch._dynamo  # torch imports it, and 300 modules with it, for the first step of an optimizer
import torch.optim

import spectral_engine.analysis
import spectral_engine.compression
import spectral_engine.methods.prune.policy
import spectral_engine.methods.retrain.policy
import spectral_engine.methods.sparse.policy
import spectral_engine.report.csv
import spectral_engine.report.html
