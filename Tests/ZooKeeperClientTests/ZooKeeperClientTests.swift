// ZooKeeperClient tests: to be written.
