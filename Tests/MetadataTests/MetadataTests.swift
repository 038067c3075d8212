// Metadata tests: to be written.
