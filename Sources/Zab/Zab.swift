// Zab: to be written.
