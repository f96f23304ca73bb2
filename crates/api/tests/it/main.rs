//! Tests of the wire contract through its public interface.

// Bodies and query strings that clients send, and what is refused of them.
mod requests;
// Inputs that fuzzing starts from or has found, replayed.
mod corpus;
