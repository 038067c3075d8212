// CommandLineTools tests: to be written.
