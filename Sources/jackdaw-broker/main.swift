// jackdaw-broker: entry point, to be written.
