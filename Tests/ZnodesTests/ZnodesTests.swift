// Znodes tests: to be written.
