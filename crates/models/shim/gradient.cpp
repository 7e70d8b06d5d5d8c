// Gives a leaf the storage of its gradient, so that every backward pass adds to it in place. Called from src/native/gradient.rs.

#include <ATen/core/Tensor.h>

#include "caught.h"

extern "C" int dale_set_gradient(at::Tensor* leaf, const at::Tensor* gradient, char* error, std::size_t error_size) {
    return caught(error, error_size, [&] { leaf->mutable_grad() = *gradient; });
}
