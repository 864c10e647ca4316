//! Tests of the core's policy.
