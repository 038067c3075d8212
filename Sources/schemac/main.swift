// schemac: entry point, to be written.
