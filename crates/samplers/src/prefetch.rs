//! Asking for memory before it is needed.
//!
//! The update of one value takes a processor some forty operations. While they wait for a value that is still on its way there is no
//! room left in its window to look far ahead, and so little is fetched at once: measured, memory and arithmetic then take turns. A
//! request a few lines ahead costs nothing where the value is near, and lets them overlap where it is not.

/// How many values ahead: two kilobytes of single precision.
const AHEAD: usize = 512;
/// Bytes that memory gives at once.
const LINE: usize = 64;

/// Asks for the memory that lies [`AHEAD`] values behind the start of `group`, as much as the group itself is. Nothing happens where the
/// processor has no such request.
#[inline(always)]
pub(crate) fn ahead<T, const N: usize>(group: &[T; N]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let start = group.as_ptr().wrapping_add(AHEAD).cast::<i8>();
        for line in 0..size_of::<[T; N]>().div_ceil(LINE) {
            // SAFETY: a prefetch is a hint. It reads nothing, and an address outside of any allocation has no effect.
            #[expect(unsafe_code, reason = "there is no safe function for it yet")]
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(line * LINE));
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (group, AHEAD, LINE);
}
