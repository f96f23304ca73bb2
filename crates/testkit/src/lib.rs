//! This crate lets tests hold a whole server in their own process: on free ports, over a folder of its
//! own, with a clock that the test moves if it wants to, and with a client that signs.

mod app;
mod client;
mod events;

pub use app::{Instant, TestApp, TestAppBuilder};
pub use client::{Answer, Credentials, SignedClient};
pub use events::{data_event, management_event};
