// LogStorage: to be written.
