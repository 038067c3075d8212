// LocalCluster tests: to be written.
