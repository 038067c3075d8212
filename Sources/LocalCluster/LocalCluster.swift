// LocalCluster: to be written.
