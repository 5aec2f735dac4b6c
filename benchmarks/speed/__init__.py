"""How fast cut files run beside Torch-Pruning's at the same multiply-adds."""
