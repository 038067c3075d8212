// Zab tests: to be written.
