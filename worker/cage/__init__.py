"""What the engine's process may take, and what ends it when it takes more.

`allowance` says how much, `inside` is set by the process itself before it reads a file, `watch` looks at it from
outside, and `environment` is what it gets to know.
"""
