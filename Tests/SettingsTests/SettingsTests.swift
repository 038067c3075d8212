// Settings tests: to be written.
