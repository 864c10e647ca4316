//! Pages that have passed, and are fetched again.
