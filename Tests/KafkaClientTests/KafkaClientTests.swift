// KafkaClient tests: to be written.
