"""One question each: numbered scripts, and `demo`, which runs them all."""
