"""What moves: systems, couplings, and the engine that integrates them."""
