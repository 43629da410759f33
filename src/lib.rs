//! Encrypted message streams over io_uring for Linux server backends.
