// Group normalization, scale and shift, and perhaps SiLU as one differentiable operation. Called from src/native/norm_silu.rs.
//
//     n = (x − mean) / sqrt(var + eps) γ_c + β_c        mean and variance over a group of channels of one image
//     z = n (1 + scale_bc) + shift_bc                   (scale and shift may be absent)
//     y = z σ(z), or z where no gate is wanted
//
// On a CPU in f32 or bf16 an image (a few ten thousand numbers, channels last as convolutions like it) is read into the cache once,
// forward and backward, and only x is kept for the backward pass; libtorch's own four operations keep three such tensors and walk
// memory a dozen times. Threads share out images.
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

// Calls `action(c, count)` for every LANES channels of an image and for the fewer that remain.
template <typename Action>
DALE_INLINE void blocks(std::int64_t channels, Action action) {
    std::int64_t c = 0;
    for (; c + LANES <= channels; c += LANES) action(c, LANES);
    if (c < channels) action(c, channels - c);
}

// Four sums at once: one has to wait for its last addition, and grows long. Calls `add(p, sum)` for every pixel.
template <typename Add>
DALE_INLINE void in_four(std::int64_t pixels, Add add) {
    std::int64_t p = 0;
    for (; p + 4 <= pixels; p += 4) {
        for (int sum = 0; sum < 4; sum++) add(p + sum, sum);
    }
    for (; p < pixels; p++) add(p, 0);
}
DALE_INLINE F joined(const F* sums) { return (sums[0] + sums[1]) + (sums[2] + sums[3]); }

// The kernels below walk over one image, `pixels` rows of `channels` numbers, and hold one number for each channel in rows that are
// LANES longer than that. They are compiled for three levels of x86-64 and chosen at run time.

// Σ (x − centre) and its square for each channel.
template <typename T>
DALE_INLINE void sums_body(const T* x, std::int64_t pixels, std::int64_t channels, const float* centre, float* first,
                           float* second) {
    blocks(channels, [&](std::int64_t c, std::int64_t count) __attribute__((always_inline)) {
        F middle = load(centre + c), a[4] = {}, b[4] = {};
        auto add = [&](std::int64_t p, int i) __attribute__((always_inline)) {
            F v = load_n(x + p * channels + c, count) - middle;
            a[i] += v;
            b[i] += v * v;
        };
        in_four(pixels, add);
        store(first + c, joined(a));
        store(second + c, joined(b));
    });
}

template <bool GATED, typename T>
DALE_INLINE void apply_body(const T* x, T* y, std::int64_t pixels, std::int64_t channels, const float* slope,
                            const float* offset) {
    blocks(channels, [&](std::int64_t c, std::int64_t count) __attribute__((always_inline)) {
        F factor = load(slope + c), constant = load(offset + c);
        for (std::int64_t i = c; i < pixels * channels; i += channels) {
            F z = factor * load_n(x + i, count) + constant;
            store_n(y + i, GATED ? z * sigmoid(z) : z, count);
        }
    });
}

// dz = dy ∂y/∂z into `dz`, with Σ dz and Σ dz (x − mean) for each channel.
template <bool GATED, typename T>
DALE_INLINE void pull_body(const T* x, const T* dy, float* dz, std::int64_t pixels, std::int64_t channels, const float* slope,
                           const float* offset, const float* mean, float* plain, float* moment) {
    blocks(channels, [&](std::int64_t c, std::int64_t count) __attribute__((always_inline)) {
        F factor = load(slope + c), constant = load(offset + c), middle = load(mean + c), a[4] = {}, b[4] = {};
        auto add = [&](std::int64_t p, int k) __attribute__((always_inline)) {
            std::int64_t i = p * channels + c;
            F value = load_n(x + i, count), d = load_n(dy + i, count);
            if (GATED) {
                F z = factor * value + constant, s = sigmoid(z);
                d = d * s * (1.0f + z * (1.0f - s));
            }
            a[k] += d;
            b[k] += d * (value - middle);
            store_n(dz + i, d, count);
        };
        in_four(pixels, add);
        store(plain + c, joined(a));
        store(moment + c, joined(b));
    });
}

template <typename T>
DALE_INLINE void finish_body(const T* x, const float* dz, T* dx, std::int64_t pixels, std::int64_t channels,
                             const float* from_dz, const float* from_x, const float* constant) {
    blocks(channels, [&](std::int64_t c, std::int64_t count) __attribute__((always_inline)) {
        F of_dz = load(from_dz + c), of_x = load(from_x + c), rest = load(constant + c);
        for (std::int64_t i = c; i < pixels * channels; i += channels) {
            store_n(dx + i, of_dz * load_n(dz + i, count) + of_x * load_n(x + i, count) + rest, count);
        }
    });
}

#define DALE_KERNELS(T)                                                                                                        \
    DALE_CLONES void sums(const T* x, std::int64_t pixels, std::int64_t channels, const float* centre, float* first,            \
                          float* second) {                                                                                      \
        sums_body(x, pixels, channels, centre, first, second);                                                                  \
    }                                                                                                                           \
    DALE_CLONES void apply(const T* x, T* y, std::int64_t pixels, std::int64_t channels, const float* slope,                    \
                           const float* offset, bool gated) {                                                                   \
        gated ? apply_body<true>(x, y, pixels, channels, slope, offset)                                                         \
              : apply_body<false>(x, y, pixels, channels, slope, offset);                                                       \
    }                                                                                                                           \
    DALE_CLONES void pull(const T* x, const T* dy, float* dz, std::int64_t pixels, std::int64_t channels, const float* slope,   \
                          const float* offset, const float* mean, float* plain, float* moment, bool gated) {                    \
        gated ? pull_body<true>(x, dy, dz, pixels, channels, slope, offset, mean, plain, moment)                                \
              : pull_body<false>(x, dy, dz, pixels, channels, slope, offset, mean, plain, moment);                              \
    }                                                                                                                           \
    DALE_CLONES void finish(const T* x, const float* dz, T* dx, std::int64_t pixels, std::int64_t channels,                     \
                            const float* from_dz, const float* from_x, const float* constant) {                                 \
        finish_body(x, dz, dx, pixels, channels, from_dz, from_x, constant);                                                    \
    }
DALE_KERNELS(float)
DALE_KERNELS(std::uint16_t)

struct Shape {
    std::int64_t images, channels, pixels, groups;
    bool gated;
    std::int64_t each() const { return channels / groups; }
    std::int64_t size() const { return channels * pixels; }

    // Calls `action(group, channel)` for all channels of an image.
    template <typename Action>
    void members(Action action) const {
        std::int64_t width = each();
        for (std::int64_t group = 0; group < groups; group++) {
            for (std::int64_t c = group * width; c < (group + 1) * width; c++) action(group, c);
        }
    }
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

// One number for each channel of an image.
struct Row : std::vector<float> {
    explicit Row(const Shape& s) : std::vector<float>(s.channels + LANES) {}
};

// z = slope x + offset for the channels of one image.
void line(const Affine& a, const Shape& s, std::int64_t image, const float* mean, const float* rstd, Row& slope, Row& offset) {
    s.members([&](std::int64_t group, std::int64_t c) {
        std::int64_t bc = image * s.channels + c;
        float factor = 1.0f + a.scale[bc], normal = rstd[group] * a.gamma[c];
        slope[c] = normal * factor;
        offset[c] = (a.beta[c] - mean[group] * normal) * factor + a.shift[bc];
    });
}

template <typename T>
void forward(const T* x, T* y, float* mean, float* rstd, const Affine& a, const Shape& s, double eps) {
    at::parallel_for(0, s.images, 1, [&](std::int64_t from, std::int64_t to) {
        Row centre(s), first(s), second(s), slope(s), offset(s);
        for (std::int64_t image = from; image < to; image++) {
            const T* here = x + image * s.size();
            // Centred on a value of the group, so that little cancels.
            s.members([&](std::int64_t group, std::int64_t c) { centre[c] = load_some(here + group * s.each(), 1)[0]; });
            sums(here, s.pixels, s.channels, centre.data(), first.data(), second.data());
            for (std::int64_t group = 0; group < s.groups; group++) {
                double plain = 0, square = 0, n = static_cast<double>(s.each() * s.pixels);
                for (std::int64_t c = group * s.each(); c < (group + 1) * s.each(); c++) {
                    plain += first[c];
                    square += second[c];
                }
                double apart = plain / n, variance = square / n - apart * apart;
                std::int64_t i = image * s.groups + group;
                mean[i] = static_cast<float>(centre[group * s.each()] + apart);
                rstd[i] = static_cast<float>(1.0 / std::sqrt(std::max(variance, 0.0) + eps));
                if (!(variance == variance)) rstd[i] = NAN;
            }
            line(a, s, image, mean + image * s.groups, rstd + image * s.groups, slope, offset);
            apply(here, y + image * s.size(), s.pixels, s.channels, slope.data(), offset.data(), s.gated);
        }
    });
}

// `plain` and `moment` receive Σ dz and Σ dz x̂ for each image and channel.
template <typename T>
void backward(const T* x, const T* dy, T* dx, const float* mean, const float* rstd, const Affine& a, const Shape& s,
              float* plain, float* moment) {
    at::parallel_for(0, s.images, 1, [&](std::int64_t from, std::int64_t to) {
        Row slope(s), offset(s), middle(s), sum(s), along(s), from_dz(s), from_x(s), constant(s);
        std::vector<float> dz(s.size());
        for (std::int64_t image = from; image < to; image++) {
            std::int64_t at = image * s.size();
            const float *means = mean + image * s.groups, *rstds = rstd + image * s.groups;
            line(a, s, image, means, rstds, slope, offset);
            s.members([&](std::int64_t group, std::int64_t c) { middle[c] = means[group]; });
            pull(x + at, dy + at, dz.data(), s.pixels, s.channels, slope.data(), offset.data(), middle.data(), sum.data(),
                 along.data(), s.gated);
            for (std::int64_t group = 0; group < s.groups; group++) {
                double weighted = 0, weighted_along = 0, r = rstds[group], n = static_cast<double>(s.each() * s.pixels);
                for (std::int64_t c = group * s.each(); c < (group + 1) * s.each(); c++) {
                    std::int64_t bc = image * s.channels + c;
                    double factor = a.gamma[c] * (1.0f + a.scale[bc]);
                    plain[bc] = sum[c];
                    moment[bc] = static_cast<float>(r * along[c]);
                    weighted += factor * plain[bc];
                    weighted_along += factor * moment[bc];
                    from_dz[c] = static_cast<float>(r * factor);
                }
                // dx = rstd (w dz − Σ w dz / n − x̂ Σ w dz x̂ / n)
                double slope_x = -r * r * weighted_along / n;
                for (std::int64_t c = group * s.each(); c < (group + 1) * s.each(); c++) {
                    from_x[c] = static_cast<float>(slope_x);
                    constant[c] = static_cast<float>(-r * weighted / n - slope_x * means[group]);
                }
            }
            finish(x + at, dz.data(), dx + at, s.pixels, s.channels, from_dz.data(), from_x.data(), constant.data());
        }
    });
}

at::Tensor composed(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta, const at::Tensor& level,
                    std::int64_t groups, double eps, bool gated) {
    auto n = at::group_norm(x, groups, gamma, beta, eps);
    if (level.defined()) {
        auto parts = level.unsqueeze(-1).unsqueeze(-1).chunk(2, 1);
        n = at::addcmul(parts[1], n, parts[0].add(1));
    }
    return gated ? at::silu(n) : n;
}

Shape shape_of(const at::Tensor& x, std::int64_t groups, bool gated) {
    return {x.size(0), x.size(1), x.size(2) * x.size(3), groups, gated};
}

struct NormSilu : torch::autograd::Function<NormSilu> {
    static at::Tensor forward(AutogradContext* context, const at::Tensor& x_given, const at::Tensor& gamma,
                              const at::Tensor& beta, const std::optional<at::Tensor>& level_given, std::int64_t groups,
                              double eps, bool gated) {
        auto level = level_given.value_or(at::Tensor());
        auto x = x_given.contiguous(at::MemoryFormat::ChannelsLast);
        auto s = shape_of(x, groups, gated);
        auto y = at::empty_like(x, x.options(), at::MemoryFormat::ChannelsLast);
        auto statistics = at::empty({2, s.images * groups}, x.options().dtype(at::kFloat));
        auto a = affine(gamma, beta, level, s);
        by_kind(x, [&](auto* kind) {
            using T = std::remove_pointer_t<decltype(kind)>;
            float* mean = statistics.data_ptr<float>();
            ::forward(static_cast<const T*>(x.data_ptr()), static_cast<T*>(y.data_ptr()), mean, mean + s.images * groups, a, s,
                      eps);
        });
        context->save_for_backward({x_given, gamma, beta, level, statistics});
        context->saved_data["groups"] = groups;
        context->saved_data["eps"] = eps;
        context->saved_data["gated"] = gated;
        return y;
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        auto saved = context->get_saved_variables();
        auto &x_given = saved[0], &gamma = saved[1], &beta = saved[2], &level = saved[3], &statistics = saved[4];
        std::int64_t groups = context->saved_data["groups"].toInt();
        double eps = context->saved_data["eps"].toDouble();
        bool gated = context->saved_data["gated"].toBool();
        if (at::GradMode::is_enabled()) {  // a derivative of this derivative is wanted
            auto y = composed(x_given, gamma, beta, level, groups, eps, gated);
            variable_list inputs;
            for (auto& t : {x_given, gamma, beta, level}) {
                if (t.defined() && t.requires_grad()) inputs.push_back(t);
            }
            auto found = torch::autograd::grad({y}, inputs, {gradients[0]}, true, true, true);
            variable_list all(7);
            std::size_t next = 0;
            for (int i = 0; i < 4; i++) {
                if (saved[i].defined() && saved[i].requires_grad()) all[i] = found[next++];
            }
            return all;
        }
        auto x = x_given.contiguous(at::MemoryFormat::ChannelsLast);
        auto dy = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
        auto s = shape_of(x, groups, gated);
        auto dx = at::empty_like(x, x.options(), at::MemoryFormat::ChannelsLast);
        auto a = affine(gamma, beta, level, s);
        std::vector<float> plain(s.images * s.channels), moment(s.images * s.channels);
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
        return {dx, dgamma.to(gamma.scalar_type()), dbeta.to(beta.scalar_type()), dlevel, at::Tensor(), at::Tensor(),
                at::Tensor()};
    }
};

}  // namespace

// x: [B, C, H, W]; gamma, beta: [C]; level: [B, 2C] or null. `out` receives a new tensor.
extern "C" int dale_norm_silu(const at::Tensor* x, const at::Tensor* gamma, const at::Tensor* beta, const at::Tensor* level,
                              std::int64_t groups, double eps, int gated, at::Tensor** out, char* error, std::size_t error_size) {
    return caught(error, error_size, [&] {
        std::optional<at::Tensor> given;
        if (level) given = *level;
        bool here = x->device().is_cpu() && gamma->device().is_cpu() && beta->device().is_cpu() &&
                    (!level || level->device().is_cpu());
        bool ours = here && (x->scalar_type() == at::kFloat || x->scalar_type() == at::kBFloat16) &&
                    x->dim() == 4 && x->numel() > 0 && groups > 0 && x->size(1) % groups == 0 &&
                    gamma->sizes() == at::IntArrayRef{x->size(1)} && beta->sizes() == gamma->sizes() &&
                    (!level || level->sizes() == at::IntArrayRef{x->size(0), 2 * x->size(1)});
        *out = new at::Tensor(ours ? NormSilu::apply(*x, *gamma, *beta, given, groups, eps, gated != 0)
                                   : composed(*x, *gamma, *beta, given.value_or(at::Tensor()), groups, eps, gated != 0));
    });
}
