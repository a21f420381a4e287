//! # trunkline-telemetry: Counters, histograms, Prometheus text, JSON access log.
