// Containers tests: to be written.
