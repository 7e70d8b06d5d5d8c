// Gives a leaf the storage of its gradient, so that every backward pass adds to it in place. Called from src/native/gradient.rs.

#include <ATen/core/Tensor.h>

#include "caught.h"

extern "C" int dale_set_gradient(at::Tensor* leaf, const at::Tensor* gradient, char* error, std::size_t error_size) {
    return caught(error, error_size, [&] {
        TORCH_CHECK(leaf->is_leaf() && leaf->requires_grad(), "the tensor is no leaf that wants a gradient");
        TORCH_CHECK(gradient->sizes() == leaf->sizes() && gradient->scalar_type() == leaf->scalar_type() &&
                        gradient->device() == leaf->device(),
                    "the gradient's shape, kind or device is not that of the leaf");
        leaf->mutable_grad() = *gradient;
    });
}
