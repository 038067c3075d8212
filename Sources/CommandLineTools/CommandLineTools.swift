// CommandLineTools: to be written.
