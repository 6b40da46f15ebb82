//! Batches single operations by ten and by 1 MiB, and retries what failed of a batch.
