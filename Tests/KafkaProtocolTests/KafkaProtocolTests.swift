// KafkaProtocol tests: to be written.
