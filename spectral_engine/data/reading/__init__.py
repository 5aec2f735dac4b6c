"""From a file as people have it to arrays by name: told by its first bytes, bounded, and refused by what is wrong."""

import os

# Arrow's own allocator takes 1 GiB of address space with its first byte, which a limit of memory (RLIMIT_DATA) counts.
# Arrow reads this when it allocates first; whoever has set it, or used Arrow before, is left alone.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
