"""How fast, how exact, beside whom: `python -m benchmarks` prints one table per topic."""
