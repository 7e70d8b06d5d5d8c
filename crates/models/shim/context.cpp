// Whether CUDA's matrix products and convolutions may round f32 to TF32. Called from src/native/context.rs.

#include <ATen/Context.h>

#include "caught.h"

extern "C" int dale_set_tf32(int allowed, char* error, std::size_t error_size) {
    return caught(error, error_size, [&] {
        at::globalContext().setAllowTF32CuBLAS(allowed != 0);
        at::globalContext().setAllowTF32CuDNN(allowed != 0);
    });
}

extern "C" int dale_tf32(int* allowed, char* error, std::size_t error_size) {
    return caught(error, error_size, [&] {
        *allowed = at::globalContext().allowTF32CuBLAS() && at::globalContext().allowTF32CuDNN() ? 1 : 0;
    });
}
