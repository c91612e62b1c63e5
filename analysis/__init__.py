"""What happened: observables of oscillator systems as pure functions of arrays."""
