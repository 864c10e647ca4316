//! Many visitors at once.
