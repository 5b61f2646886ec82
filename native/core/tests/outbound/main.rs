//! The way out, over real sockets on loopback. Names are answered by a resolver of the test's own, so nothing leaves the
//! machine.

mod addresses;
mod connections;
mod failures;
mod messages;
mod origins;
mod support;
mod time;
mod tls;
