// Platform tests: to be written.
