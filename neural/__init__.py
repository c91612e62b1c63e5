"""How it learns: networks built on the laws, couplings and observables of the core."""
