// Compression tests: to be written.
