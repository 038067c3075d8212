// BrokerNode tests: to be written.
