//! memcached's text protocol.

mod commands;
mod naive;
mod pieces;
mod replies;
