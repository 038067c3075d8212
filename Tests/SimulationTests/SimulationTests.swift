// Simulation tests: to be written.
