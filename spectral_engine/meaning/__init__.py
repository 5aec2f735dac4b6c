"""What a data set means: which answers its labels speak of, and how; said once, asked by everything else."""
