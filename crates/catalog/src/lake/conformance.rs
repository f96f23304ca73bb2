//! What every implementation of the lake's catalog must do. Each function takes a fresh, empty catalog
//! and panics with the broken promise.

