"""Everything that a job needs before it trains, read and checked."""
