//! memcached's text protocol.

mod asking;
mod commands;
mod naive;
mod pieces;
mod replies;
