//! The replies of clamd, exactly.
