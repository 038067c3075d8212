// jackdaw-coordinator: entry point, to be written.
