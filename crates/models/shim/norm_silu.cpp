// Group normalization, scale and shift, and SiLU as one differentiable operation. Called from src/native/norm_silu.rs.
//
//     n = (x − mean) / sqrt(var + eps) γ_c + β_c        mean and variance over a group of channels of one image
//     z = n (1 + scale_bc) + shift_bc                   (scale and shift may be absent)
//     y = z σ(z)
//
// On a CPU in f32 or bf16 a group (a few thousand numbers) is read into the first-level cache once, forward and backward, and only
// x is kept for the backward pass; libtorch's own four operations keep three such tensors and walk memory a dozen times.
// Elsewhere, and when a derivative of the derivative is wanted, it is the composition of libtorch's operations.

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <ATen/ops/addcmul.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/silu.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "caught.h"
#include "lanes.h"

namespace {

using namespace lanes;

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Written so that a z that is not a number stays one.
DALE_INLINE F sigmoid(F z) {
    F low = F{} - 87.0f, high = F{} + 87.0f;
    F bounded = choose(z < low, low, choose(z > high, high, z));
    return 1.0f / (1.0f + exp_bounded(-bounded));
}

// The kernels below are compiled for three levels of x86-64 and chosen at run time.

template <typename T>
DALE_INLINE void sums_body(const T* x, std::int64_t n, float centre, double& first, double& second) {
    F a = {}, b = {};
    std::int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        F v = load(x + i) - centre;
        a += v;
        b += v * v;
    }
    first = total(a);
    second = total(b);
    if (i < n) {
        F v = load_some(x + i, n - i) - centre;
        for (std::int64_t j = 0; j < n - i; j++) {
            first += v[j];
            second += static_cast<double>(v[j]) * v[j];
        }
    }
}

template <typename T>
DALE_INLINE void apply_body(const T* x, T* y, std::int64_t n, float slope, float offset) {
    std::int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        F z = slope * load(x + i) + offset;
        store(y + i, z * sigmoid(z));
    }
    if (i < n) {
        F z = slope * load_some(x + i, n - i) + offset;
        store_some(y + i, z * sigmoid(z), n - i);
    }
}

// dz = dy ∂y/∂z into `dz`, with Σ dz and Σ dz (x − centre).
template <typename T>
DALE_INLINE void gate_body(const T* x, const T* dy, float* dz, std::int64_t n, float slope, float offset, float centre,
                           double& plain, double& moment) {
    F a = {}, b = {};
    auto gated = [&](F value, F pull) __attribute__((always_inline)) {
        F z = slope * value + offset, s = sigmoid(z);
        F d = pull * s * (1.0f + z * (1.0f - s));
        a += d;
        b += d * (value - centre);
        return d;
    };
    std::int64_t i = 0;
    for (; i + LANES <= n; i += LANES) store(dz + i, gated(load(x + i), load(dy + i)));
    // Lanes beyond the end have no pull, so they add nothing.
    if (i < n) store_some(dz + i, gated(load_some(x + i, n - i), load_some(dy + i, n - i)), n - i);
    plain = total(a);
    moment = total(b);
}

template <typename T>
DALE_INLINE void finish_body(const T* x, const float* dz, T* dx, std::int64_t n, float from_dz, float from_x,
                             float constant) {
    std::int64_t i = 0;
    for (; i + LANES <= n; i += LANES) store(dx + i, from_dz * load(dz + i) + from_x * load(x + i) + constant);
    if (i < n) {
        store_some(dx + i, from_dz * load_some(dz + i, n - i) + from_x * load_some(x + i, n - i) + constant, n - i);
    }
}

#define DALE_KERNELS(T)                                                                                                        \
    DALE_CLONES void sums(const T* x, std::int64_t n, float centre, double& first, double& second) {                            \
        sums_body(x, n, centre, first, second);                                                                                 \
    }                                                                                                                           \
    DALE_CLONES void apply(const T* x, T* y, std::int64_t n, float slope, float offset) {                                       \
        apply_body(x, y, n, slope, offset);                                                                                     \
    }                                                                                                                           \
    DALE_CLONES void gate(const T* x, const T* dy, float* dz, std::int64_t n, float slope, float offset, float centre,          \
                          double& plain, double& moment) {                                                                      \
        gate_body(x, dy, dz, n, slope, offset, centre, plain, moment);                                                          \
    }                                                                                                                           \
    DALE_CLONES void finish(const T* x, const float* dz, T* dx, std::int64_t n, float from_dz, float from_x, float constant) { \
        finish_body(x, dz, dx, n, from_dz, from_x, constant);                                                                   \
    }
DALE_KERNELS(float)
DALE_KERNELS(std::uint16_t)

struct Shape {
    std::int64_t images, channels, pixels, groups;
    std::int64_t each() const { return channels / groups; }
};

// Per image and channel in f32; a missing scale and shift count as zero.
struct Affine {
    std::vector<float> gamma, beta, scale, shift;
};

std::vector<float> numbers(const at::Tensor& t) {
    auto flat = t.detach().to(at::kFloat).contiguous();
    return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

Affine affine(const at::Tensor& gamma, const at::Tensor& beta, const at::Tensor& level, const Shape& s) {
    Affine a{numbers(gamma), numbers(beta), {}, {}};
    a.scale.assign(s.images * s.channels, 0.0f);
    a.shift.assign(s.images * s.channels, 0.0f);
    if (level.defined()) {
        auto both = numbers(level);  // [B, 2C]: scale, then shift
        for (std::int64_t b = 0; b < s.images; b++) {
            std::memcpy(&a.scale[b * s.channels], &both[b * 2 * s.channels], s.channels * sizeof(float));
            std::memcpy(&a.shift[b * s.channels], &both[(b * 2 + 1) * s.channels], s.channels * sizeof(float));
        }
    }
    return a;
}

template <typename T>
void forward(const T* x, T* y, float* mean, float* rstd, const Affine& a, const Shape& s, double eps) {
    at::parallel_for(0, s.images * s.groups, 1, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t i = from; i < to; i++) {
            std::int64_t image = i / s.groups, channel = i % s.groups * s.each(), n = s.each() * s.pixels;
            const T* block = x + (image * s.channels + channel) * s.pixels;
            // Centred on a value of the group, so that little cancels.
            float centre = load_some(block, 1)[0];
            double first, second;
            sums(block, n, centre, first, second);
            double offset = first / n, variance = second / n - offset * offset;
            mean[i] = static_cast<float>(centre + offset);
            rstd[i] = static_cast<float>(1.0 / std::sqrt(std::max(variance, 0.0) + eps));
            if (!(variance == variance)) rstd[i] = NAN;
            for (std::int64_t c = channel; c < channel + s.each(); c++) {
                std::int64_t bc = image * s.channels + c;
                float slope = rstd[i] * a.gamma[c] * (1.0f + a.scale[bc]);
                float shift = (a.beta[c] - mean[i] * rstd[i] * a.gamma[c]) * (1.0f + a.scale[bc]) + a.shift[bc];
                apply(x + bc * s.pixels, y + bc * s.pixels, s.pixels, slope, shift);
            }
        }
    });
}

template <typename T>
void backward(const T* x, const T* dy, T* dx, const float* mean, const float* rstd, const Affine& a, const Shape& s,
              double* plain, double* moment) {
    at::parallel_for(0, s.images * s.groups, 1, [&](std::int64_t from, std::int64_t to) {
        std::vector<float> dz(s.each() * s.pixels);
        for (std::int64_t i = from; i < to; i++) {
            std::int64_t image = i / s.groups, channel = i % s.groups * s.each(), n = s.each() * s.pixels;
            double sum = 0, along = 0;
            for (std::int64_t c = channel; c < channel + s.each(); c++) {
                std::int64_t bc = image * s.channels + c;
                float factor = 1.0f + a.scale[bc];
                float slope = rstd[i] * a.gamma[c] * factor;
                float shift = (a.beta[c] - mean[i] * rstd[i] * a.gamma[c]) * factor + a.shift[bc];
                gate(x + bc * s.pixels, dy + bc * s.pixels, &dz[(c - channel) * s.pixels], s.pixels, slope, shift, mean[i],
                     plain[bc], moment[bc]);
                moment[bc] *= rstd[i];  // Σ dz x̂
                sum += a.gamma[c] * factor * plain[bc];
                along += a.gamma[c] * factor * moment[bc];
            }
            // dx = rstd (w dz − Σ w dz / n − x̂ Σ w dz x̂ / n)
            double r = rstd[i], from_x = -r * r * along / n, constant = -r * sum / n - from_x * mean[i];
            for (std::int64_t c = channel; c < channel + s.each(); c++) {
                std::int64_t bc = image * s.channels + c;
                float from_dz = rstd[i] * a.gamma[c] * (1.0f + a.scale[bc]);
                finish(x + bc * s.pixels, &dz[(c - channel) * s.pixels], dx + bc * s.pixels, s.pixels, from_dz,
                       static_cast<float>(from_x), static_cast<float>(constant));
            }
        }
    });
}

at::Tensor composed(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta, const at::Tensor& level,
                    std::int64_t groups, double eps) {
    auto n = at::group_norm(x, groups, gamma, beta, eps);
    if (level.defined()) {
        auto parts = level.unsqueeze(-1).unsqueeze(-1).chunk(2, 1);
        n = at::addcmul(parts[1], n, parts[0].add(1));
    }
    return at::silu(n);
}

Shape shape_of(const at::Tensor& x, std::int64_t groups) { return {x.size(0), x.size(1), x.size(2) * x.size(3), groups}; }

struct NormSilu : torch::autograd::Function<NormSilu> {
    static at::Tensor forward(AutogradContext* context, const at::Tensor& x_given, const at::Tensor& gamma,
                              const at::Tensor& beta, const std::optional<at::Tensor>& level_given, std::int64_t groups,
                              double eps) {
        auto level = level_given.value_or(at::Tensor());
        auto x = x_given.contiguous();
        auto s = shape_of(x, groups);
        auto y = at::empty_like(x);
        auto statistics = at::empty({2, s.images * groups}, x.options().dtype(at::kFloat));
        auto a = affine(gamma, beta, level, s);
        by_kind(x, [&](auto* kind) {
            using T = std::remove_pointer_t<decltype(kind)>;
            float* mean = statistics.data_ptr<float>();
            ::forward(static_cast<const T*>(x.data_ptr()), static_cast<T*>(y.data_ptr()), mean, mean + s.images * groups, a, s,
                      eps);
        });
        context->save_for_backward({x, gamma, beta, level, statistics});
        context->saved_data["groups"] = groups;
        context->saved_data["eps"] = eps;
        return y;
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        auto saved = context->get_saved_variables();
        auto &x = saved[0], &gamma = saved[1], &beta = saved[2], &level = saved[3], &statistics = saved[4];
        std::int64_t groups = context->saved_data["groups"].toInt();
        double eps = context->saved_data["eps"].toDouble();
        if (at::GradMode::is_enabled()) {  // a derivative of this derivative is wanted
            auto y = composed(x, gamma, beta, level, groups, eps);
            variable_list inputs;
            for (auto& t : {x, gamma, beta, level}) {
                if (t.defined() && t.requires_grad()) inputs.push_back(t);
            }
            auto found = torch::autograd::grad({y}, inputs, {gradients[0]}, true, true, true);
            variable_list all(6);
            std::size_t next = 0;
            for (int i = 0; i < 4; i++) {
                if (saved[i].defined() && saved[i].requires_grad()) all[i] = found[next++];
            }
            return all;
        }
        auto dy = gradients[0].contiguous();
        auto s = shape_of(x, groups);
        auto dx = at::empty_like(x);
        auto a = affine(gamma, beta, level, s);
        std::vector<double> plain(s.images * s.channels), moment(s.images * s.channels);
        by_kind(x, [&](auto* kind) {
            using T = std::remove_pointer_t<decltype(kind)>;
            const float* mean = statistics.data_ptr<float>();
            ::backward(static_cast<const T*>(x.data_ptr()), static_cast<const T*>(dy.data_ptr()),
                       static_cast<T*>(dx.data_ptr()), mean, mean + s.images * groups, a, s, plain.data(), moment.data());
        });
        // γ and β: Σ over images; scale and shift: for each image.
        auto options = x.options().dtype(at::kFloat);
        auto dgamma = at::empty({s.channels}, options), dbeta = at::empty({s.channels}, options);
        at::Tensor dlevel;
        float* both = nullptr;
        if (level.defined()) {
            dlevel = at::empty({s.images, 2 * s.channels}, options);
            both = dlevel.data_ptr<float>();
        }
        for (std::int64_t c = 0; c < s.channels; c++) {
            double for_gamma = 0, for_beta = 0;
            for (std::int64_t b = 0; b < s.images; b++) {
                std::int64_t bc = b * s.channels + c;
                for_gamma += (1.0 + a.scale[bc]) * moment[bc];
                for_beta += (1.0 + a.scale[bc]) * plain[bc];
                if (both) {
                    both[b * 2 * s.channels + c] = static_cast<float>(a.gamma[c] * moment[bc] + a.beta[c] * plain[bc]);
                    both[(b * 2 + 1) * s.channels + c] = static_cast<float>(plain[bc]);
                }
            }
            dgamma.data_ptr<float>()[c] = static_cast<float>(for_gamma);
            dbeta.data_ptr<float>()[c] = static_cast<float>(for_beta);
        }
        if (level.defined()) dlevel = dlevel.to(level.scalar_type());
        return {dx, dgamma.to(gamma.scalar_type()), dbeta.to(beta.scalar_type()), dlevel, at::Tensor(), at::Tensor()};
    }
};

}  // namespace

// x: [B, C, H, W]; gamma, beta: [C]; level: [B, 2C] or null. `out` receives a new tensor.
extern "C" int dale_norm_silu(const at::Tensor* x, const at::Tensor* gamma, const at::Tensor* beta, const at::Tensor* level,
                              std::int64_t groups, double eps, at::Tensor** out, char* error, std::size_t error_size) {
    return caught(error, error_size, [&] {
        std::optional<at::Tensor> given;
        if (level) given = *level;
        bool here = x->device().is_cpu() && gamma->device().is_cpu() && beta->device().is_cpu() &&
                    (!level || level->device().is_cpu());
        bool ours = here && (x->scalar_type() == at::kFloat || x->scalar_type() == at::kBFloat16) &&
                    x->dim() == 4 && x->numel() > 0 && groups > 0 && x->size(1) % groups == 0 &&
                    gamma->sizes() == at::IntArrayRef{x->size(1)} && beta->sizes() == gamma->sizes() &&
                    (!level || level->sizes() == at::IntArrayRef{x->size(0), 2 * x->size(1)});
        *out = new at::Tensor(ours ? NormSilu::apply(*x, *gamma, *beta, given, groups, eps)
                                   : composed(*x, *gamma, *beta, given.value_or(at::Tensor()), groups, eps));
    });
}
