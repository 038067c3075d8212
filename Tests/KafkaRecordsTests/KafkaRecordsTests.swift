// KafkaRecords tests: to be written.
