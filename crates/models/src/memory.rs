//! Keeps freed memory in the process.
//!
//! Networks free and ask for the same few megabytes thousands of times a minute. By default glibc gives such blocks back to the
//! system at once, which then clears them page by page when they are needed again: 8% of a training step and
//! 20% of sampling on two cores (`dale bench-step`, `dale sample`).

/// Blocks below this size are kept; glibc allows no more.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: libc::c_int = 32 << 20;

/// From now on freed blocks below 32 MiB stay with the process. For programs, once, at start; does nothing where the C library is not
/// glibc.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt sets two aligned words of the allocator, which it only compares sizes with: another thread sees the old
    // value or the new one. Programs call this before they start threads.
    unsafe {
        // It returns 0 where a number is refused; the default stays then, and nothing else depends on it.
        let _ = libc::mallopt(libc::M_MMAP_THRESHOLD, KEPT_BYTES);
        let _ = libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
    }
}
