// Sixteen f32 at once, from rows of f32 or bf16, for loops that are compiled for three levels of x86-64 and chosen at run time.
//
// A function that takes or gives an F must be inlined into the DALE_CLONES function that uses it: between levels the calling
// convention of vectors differs.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define DALE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define DALE_CLONES
#endif

namespace lanes {

// Sixteen numbers at once: a register, or several, of whatever the processor has.
constexpr std::int64_t LANES = 16;
using F = float __attribute__((vector_size(4 * LANES)));
using I = std::int32_t __attribute__((vector_size(4 * LANES)));
using U = std::uint32_t __attribute__((vector_size(4 * LANES)));
using H = std::uint16_t __attribute__((vector_size(2 * LANES)));

#define DALE_INLINE inline __attribute__((always_inline))

template <typename To, typename From>
DALE_INLINE To bits(const From& from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof(To));
    return to;
}

DALE_INLINE F choose(I where, F yes, F no) { return bits<F>((bits<I>(yes) & where) | (bits<I>(no) & ~where)); }

DALE_INLINE F load(const float* from) {
    F v;
    std::memcpy(&v, from, sizeof(v));
    return v;
}
DALE_INLINE F load(const std::uint16_t* from) {
    H v;
    std::memcpy(&v, from, sizeof(v));
    return bits<F>(__builtin_convertvector(v, U) << 16);
}
DALE_INLINE void store(float* to, F v) { std::memcpy(to, &v, sizeof(v)); }
DALE_INLINE void store(std::uint16_t* to, F v) {
    U b = bits<U>(v);
    U rounded = (b + 0x7fff + ((b >> 16) & 1)) >> 16;
    I number = v == v;
    U kept = (rounded & bits<U>(number)) | (0x7fc0u & ~bits<U>(number));
    H narrow = __builtin_convertvector(kept, H);
    std::memcpy(to, &narrow, sizeof(narrow));
}

// The last numbers of a row, fewer than LANES of them; the rest of the lanes is zero.
template <typename T>
DALE_INLINE F load_some(const T* from, std::int64_t n) {
    T padded[LANES] = {};
    for (std::int64_t i = 0; i < n; i++) padded[i] = from[i];
    return load(padded);
}
template <typename T>
DALE_INLINE void store_some(T* to, F v, std::int64_t n) {
    T padded[LANES];
    store(padded, v);
    for (std::int64_t i = 0; i < n; i++) to[i] = padded[i];
}

// As load and store where n is LANES, which the compiler knows wherever it is a constant.
template <typename T>
DALE_INLINE F load_n(const T* from, std::int64_t n) {
    return n == LANES ? load(from) : load_some(from, n);
}
template <typename T>
DALE_INLINE void store_n(T* to, F v, std::int64_t n) {
    if (n == LANES) {
        store(to, v);
    } else {
        store_some(to, v, n);
    }
}

// e^x for |x| ≤ 87, relative error below 3e-7: Cody and Waite's reduction, then Taylor's polynomial on ±ln 2 / 2.
DALE_INLINE F exp_bounded(F x) {
    F n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;  // rounded to a whole number
    F r = x - n * 0.693359375f + n * 2.12194440e-4f;
    F p = r * (1.0f / 5040) + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return p * bits<F>((__builtin_convertvector(n, I) + 127) << 23);
}

// Calls `action` with a null pointer whose type is that of a row of `x`, which is f32 or bf16.
template <typename Action>
void by_kind(const at::Tensor& x, Action action) {
    if (x.scalar_type() == at::kFloat) {
        action(static_cast<float*>(nullptr));
    } else {
        action(static_cast<std::uint16_t*>(nullptr));
    }
}

}  // namespace lanes
