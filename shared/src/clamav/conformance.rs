//! What every scanner must do.
