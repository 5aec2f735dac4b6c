"""What `benchmarks.fuzz_import` is made of."""
