"""Quality of compression, ours against the peers: same starting model, same rows, same epochs.

`settings` says what is compared, `run` measures it row by row, `report` makes table and plots from the rows.
"""
