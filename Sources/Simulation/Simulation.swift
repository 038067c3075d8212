// Simulation: to be written.
