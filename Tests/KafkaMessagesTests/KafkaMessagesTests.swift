// KafkaMessages tests: to be written.
