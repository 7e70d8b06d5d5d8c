// libtorch's fused Adam, which its Rust bindings lack. Called from src/fused.rs.

#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adam.h>

#include <cstddef>
#include <cstdio>
#include <exception>

// Updates weights, mean and square in place. Returns 0, or 1 with the reason in `error`.
extern "C" int dale_fused_adam(at::Tensor* weights, const at::Tensor* gradient, at::Tensor* mean, at::Tensor* square,
                               const at::Tensor* step, double rate, double beta1, double beta2, double epsilon,
                               char* error, std::size_t error_size) {
    try {
        at::_fused_adam_({*weights}, {*gradient}, {*mean}, {*square}, {}, {*step}, rate, beta1, beta2,
                         /*weight_decay=*/0.0, epsilon, /*amsgrad=*/false, /*maximize=*/false);
        return 0;
    } catch (const std::exception& failure) {
        std::snprintf(error, error_size, "%s", failure.what());
    } catch (...) {
        std::snprintf(error, error_size, "unknown failure");
    }
    return 1;
}
