// Transport tests: to be written.
