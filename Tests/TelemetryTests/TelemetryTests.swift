// Telemetry tests: to be written.
