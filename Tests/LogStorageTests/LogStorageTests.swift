// LogStorage tests: to be written.
