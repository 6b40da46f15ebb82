//! What every state must do.
