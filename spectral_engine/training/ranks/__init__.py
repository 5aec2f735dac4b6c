"""Steps that several processes share, one for each device: rank 0 runs the job and decides, the others follow."""
