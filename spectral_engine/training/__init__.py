"""Training: rows in, loss out, steps and cuts between; checkpoints that resume exactly."""
