"""Data and models by URL, copied once to this machine: from servers that are allowed, whole or not at all."""

from spectral_engine.remote.addresses import is_remote
from spectral_engine.remote.copies import on_this_machine

__all__ = ["is_remote", "on_this_machine"]
