// libtorch's fused Adam, which its Rust bindings lack. Called from src/native/adam.rs.

#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>

#include "caught.h"

struct DaleAdam {
    double rate, beta1, beta2, epsilon, weight_decay;
    int decoupled;  // 1: AdamW, 0: the decay is added to the gradient
};

// Updates weights, mean and square in place, unless `skip` (a scalar f32 on the device) is 1.
extern "C" int dale_adam(at::Tensor* weights, const at::Tensor* gradient, at::Tensor* mean, at::Tensor* square,
                         const at::Tensor* step, const at::Tensor* skip, const DaleAdam* c, char* error,
                         std::size_t error_size) {
    return caught(error, error_size, [&] {
        auto update = [&](auto&& fused) {
            fused({*weights}, {*gradient}, {*mean}, {*square}, {}, {*step}, c->rate, c->beta1, c->beta2, c->weight_decay,
                  c->epsilon, /*amsgrad=*/false, /*maximize=*/false, /*grad_scale=*/std::nullopt, /*found_inf=*/*skip);
        };
        using List = at::TensorList;
        if (c->decoupled) {
            update([](List w, List g, List m, List s, List x, List k, double rate, double b1, double b2, double decay,
                      double eps, bool a, bool max, const std::optional<at::Tensor>& scale,
                      const std::optional<at::Tensor>& inf) {
                at::_fused_adamw_(w, g, m, s, x, k, rate, b1, b2, decay, eps, a, max, scale, inf);
            });
        } else {
            update([](List w, List g, List m, List s, List x, List k, double rate, double b1, double b2, double decay,
                      double eps, bool a, bool max, const std::optional<at::Tensor>& scale,
                      const std::optional<at::Tensor>& inf) {
                at::_fused_adam_(w, g, m, s, x, k, rate, b1, b2, decay, eps, a, max, scale, inf);
            });
        }
    });
}
