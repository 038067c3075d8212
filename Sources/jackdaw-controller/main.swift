// jackdaw-controller: entry point, to be written.
