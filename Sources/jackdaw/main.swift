// jackdaw: entry point, to be written.
