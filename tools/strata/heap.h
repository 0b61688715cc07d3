// How the C library deals with freed memory.
#pragma once

namespace strata::cli {

/// Keeps what is freed for what is allocated next, in place of giving it back to the system:
/// training allocates the same large tensors in every step, and fresh pages cost half of its time.
/// The process may hold half as much memory again. Does nothing where the C library is not glibc.
/// To be called before threads are started.
void keep_freed_memory();

}  // namespace strata::cli
