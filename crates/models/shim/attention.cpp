// Scaled dot-product attention over a few dozen positions as one differentiable operation. Called from src/native/attention.rs.
//
//     S = k qᵀ / √E      P = softmax over the positions of k      out = Pᵀ v         q, k, v: [L, E] for each image and head
//
// On a CPU in f32 or bf16 the products of a head stay in the first-level cache; libtorch's batched products take such small matrices
// one by one through a general one. For many positions and when a derivative of the derivative is wanted it is those products,
// elsewhere libtorch's fused attention.

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <ATen/ops/_scaled_dot_product_attention_math.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "caught.h"
#include "lanes.h"

namespace {

using namespace lanes;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Most positions whose square of weights is still near the processor.
constexpr std::int64_t MOST_POSITIONS = 256;

// A matrix that is read number by number: entry (m, k) at m · row + k · column.
struct Entries {
    const float* at;
    std::int64_t row, column;
};

// c[m][0 … 16 V) = Σ_k a(m, k) b[k][0 … 16 V) for R rows m.
template <int R, int V>
DALE_INLINE void block(Entries a, const float* b, float* c, std::int64_t depth, std::int64_t stride) {
    F sum[R][V] = {};
    for (std::int64_t k = 0; k < depth; k++) {
        F row[V];
        for (int v = 0; v < V; v++) row[v] = load(b + k * stride + v * LANES);
        for (int r = 0; r < R; r++) {
            float factor = a.at[r * a.row + k * a.column];
            for (int v = 0; v < V; v++) sum[r][v] += factor * row[v];
        }
    }
    for (int r = 0; r < R; r++) {
        for (int v = 0; v < V; v++) store(c + r * stride + v * LANES, sum[r][v]);
    }
}

template <int V>
DALE_INLINE void columns(Entries a, const float* b, float* c, std::int64_t rows, std::int64_t depth, std::int64_t stride) {
    std::int64_t m = 0;
    for (; m + 4 <= rows; m += 4) block<4, V>({a.at + m * a.row, a.row, a.column}, b, c + m * stride, depth, stride);
    for (; m < rows; m++) block<1, V>({a.at + m * a.row, a.row, a.column}, b, c + m * stride, depth, stride);
}

// The product of `rows` × `depth` entries with `depth` rows of `stride` numbers, a multiple of LANES.
DALE_INLINE void product(Entries a, const float* b, float* c, std::int64_t rows, std::int64_t depth, std::int64_t stride) {
    std::int64_t n = 0;
    for (; n + 4 * LANES <= stride; n += 4 * LANES) columns<4>(a, b + n, c + n, rows, depth, stride);
    for (; n + 3 * LANES <= stride; n += 3 * LANES) columns<3>(a, b + n, c + n, rows, depth, stride);
    for (; n < stride; n += LANES) columns<1>(a, b + n, c + n, rows, depth, stride);
}

// Rows of n numbers, `pitch` apart, to rows of `stride` floats, zero beyond n; and back.
template <typename T>
DALE_INLINE void widen(const T* from, std::int64_t pitch, float* to, std::int64_t rows, std::int64_t n, std::int64_t stride) {
    for (std::int64_t r = 0; r < rows; r++) {
        std::int64_t i = 0;
        for (; i + LANES <= n; i += LANES) store(to + r * stride + i, load(from + r * pitch + i));
        if (i < n) store(to + r * stride + i, load_some(from + r * pitch + i, n - i));
    }
}
template <typename T>
DALE_INLINE void narrow(const float* from, T* to, std::int64_t pitch, std::int64_t rows, std::int64_t n, std::int64_t stride) {
    for (std::int64_t r = 0; r < rows; r++) {
        std::int64_t i = 0;
        for (; i + LANES <= n; i += LANES) store(to + r * pitch + i, load(from + r * stride + i));
        if (i < n) store_some(to + r * pitch + i, load(from + r * stride + i), n - i);
    }
}

// `rows` rows of n numbers, `stride` apart, to n rows of as many, `turned` apart.
DALE_INLINE void transpose(const float* from, std::int64_t stride, float* to, std::int64_t turned, std::int64_t rows, std::int64_t n) {
    for (std::int64_t i = 0; i < n; i++) {
        for (std::int64_t r = 0; r < rows; r++) to[i * turned + r] = from[r * stride + i];
    }
}

// Softmax down the columns of `n` rows, in place.
DALE_INLINE void softmax(float* s, std::int64_t n, std::int64_t stride, float scale) {
    F lowest = F{} - 87.0f;
    for (std::int64_t i = 0; i < stride; i += LANES) {
        F most = load(s + i);
        for (std::int64_t j = 1; j < n; j++) {
            F x = load(s + j * stride + i);
            most = choose(x > most, x, most);
        }
        F sum = {};
        for (std::int64_t j = 0; j < n; j++) {
            F x = scale * (load(s + j * stride + i) - most);
            F p = exp_bounded(choose(x < lowest, lowest, x));
            store(s + j * stride + i, p);
            sum += p;
        }
        for (std::int64_t j = 0; j < n; j++) store(s + j * stride + i, load(s + j * stride + i) / sum);
    }
}

struct Shape {
    std::int64_t images, positions, heads, features;
    static std::int64_t padded(std::int64_t n) { return (n + LANES - 1) / LANES * LANES; }
    std::int64_t wide() const { return padded(features); }     // of a row of features
    std::int64_t square() const { return padded(positions); }  // of a row of positions
    std::int64_t pitch() const { return heads * features; }    // from position to position of the result; thrice that of q, k and v
    float scale() const { return 1.0f / std::sqrt(static_cast<float>(features)); }
};

// Room for one head: rows of features, features turned, and two squares. What lies beyond the numbers of a row stays zero, but for the
// weights, where softmax leaves something that nobody reads.
struct Room {
    std::vector<float> first, second, out, turned, weights, other;
    explicit Room(const Shape& s)
        : first(s.positions * s.wide()), second(first.size()), out(first.size()), turned(s.features * s.square()),
          weights(s.positions * s.square()), other(weights.size()) {}
};

template <typename T>
DALE_INLINE void attend_body(const T* q, const T* k, const T* v, T* out, float* weights, Room& room, const Shape& s) {
    std::int64_t e = s.features, l = s.positions, w = s.wide(), lw = s.square(), pitch = 3 * s.pitch();
    float *first = room.first.data(), *second = room.second.data(), *turned = room.turned.data(), *p = room.weights.data();
    widen(q, pitch, first, l, e, w);
    transpose(first, w, turned, lw, l, e);
    widen(k, pitch, first, l, e, w);
    widen(v, pitch, second, l, e, w);
    product({first, w, 1}, turned, p, l, e, lw);
    softmax(p, l, lw, s.scale());
    product({p, 1, lw}, second, room.out.data(), l, l, w);
    narrow(room.out.data(), out, s.pitch(), l, e, w);
    if (weights) narrow(p, weights, l, l, l, lw);
}

template <typename T>
DALE_INLINE void pull_body(const T* q, const T* k, const T* v, const T* pulled, const float* weights, T* dq, T* dk, T* dv,
                           Room& room, const Shape& s) {
    std::int64_t e = s.features, l = s.positions, w = s.wide(), lw = s.square(), pitch = 3 * s.pitch();
    float *first = room.first.data(), *turned = room.turned.data(), *out = room.out.data();
    float *p = room.weights.data(), *d = room.other.data();
    widen(weights, l, p, l, l, lw);
    // dv = P dout
    widen(pulled, s.pitch(), first, l, e, w);
    product({p, lw, 1}, first, out, l, l, w);
    narrow(out, dv, pitch, l, e, w);
    // dP = v doutᵀ, then dS = P (dP − Σ P dP) / √E
    transpose(first, w, turned, lw, l, e);
    widen(v, pitch, first, l, e, w);
    product({first, w, 1}, turned, d, l, e, lw);
    for (std::int64_t i = 0; i < lw; i += LANES) {
        F sum = {};
        for (std::int64_t j = 0; j < l; j++) sum += load(p + j * lw + i) * load(d + j * lw + i);
        for (std::int64_t j = 0; j < l; j++) {
            store(d + j * lw + i, s.scale() * load(p + j * lw + i) * (load(d + j * lw + i) - sum));
        }
    }
    // dq = dSᵀ k, dk = dS q
    widen(k, pitch, first, l, e, w);
    product({d, 1, lw}, first, out, l, l, w);
    narrow(out, dq, pitch, l, e, w);
    widen(q, pitch, first, l, e, w);
    product({d, lw, 1}, first, out, l, l, w);
    narrow(out, dk, pitch, l, e, w);
}

#define DALE_KERNELS(T)                                                                                                      \
    DALE_CLONES void attend(const T* q, const T* k, const T* v, T* out, float* weights, Room& room, const Shape& s) {         \
        attend_body(q, k, v, out, weights, room, s);                                                                          \
    }                                                                                                                         \
    DALE_CLONES void pull(const T* q, const T* k, const T* v, const T* pulled, const float* weights, T* dq, T* dk, T* dv,     \
                          Room& room, const Shape& s) {                                                                       \
        pull_body(q, k, v, pulled, weights, dq, dk, dv, room, s);                                                             \
    }
DALE_KERNELS(float)
DALE_KERNELS(std::uint16_t)

// [B, L, 3, H, E] to [B, L, H, E]. Fused attention has no second derivative, and on a CPU it sums bf16 in bf16.
at::Tensor composed(const at::Tensor& given) {
    bool plain = given.device().is_cpu() || (at::GradMode::is_enabled() && given.requires_grad());
    auto qkv = plain ? given : given.contiguous();
    auto rows = [&](int i) { return qkv.select(2, i).transpose(1, 2); };
    auto out = plain ? std::get<0>(at::_scaled_dot_product_attention_math(rows(0), rows(1), rows(2)))
                     : at::scaled_dot_product_attention(rows(0), rows(1), rows(2));
    return out.transpose(1, 2);
}

Shape shape_of(const at::Tensor& qkv) { return {qkv.size(0), qkv.size(1), qkv.size(3), qkv.size(4)}; }

// For every image and head: its number, where the image starts in [B, L, H, E], and where the head does within a position.
template <typename Action>
void heads(const Shape& s, Action action) {
    at::parallel_for(0, s.images * s.heads, 1, [&](std::int64_t from, std::int64_t to) {
        Room room(s);
        for (std::int64_t i = from; i < to; i++) {
            action(room, i, i / s.heads * s.positions * s.pitch(), i % s.heads * s.features);
        }
    });
}

struct Attention : torch::autograd::Function<Attention> {
    static at::Tensor forward(AutogradContext* context, const at::Tensor& given) {
        auto qkv = given.contiguous();
        auto s = shape_of(qkv);
        auto out = at::empty({s.images, s.positions, s.heads, s.features}, qkv.options());
        // Only a backward pass needs the weights again.
        bool kept = given.requires_grad();
        auto weights = at::empty({kept ? s.images * s.heads : 0, s.positions, s.positions}, qkv.options().dtype(at::kFloat));
        std::int64_t square = s.positions * s.positions, apart = s.pitch();
        by_kind(qkv, [&](auto* kind) {
            using T = std::remove_pointer_t<decltype(kind)>;
            auto* x = static_cast<const T*>(qkv.data_ptr());
            auto* y = static_cast<T*>(out.data_ptr());
            float* p = weights.data_ptr<float>();
            heads(s, [&](Room& room, std::int64_t i, std::int64_t start, std::int64_t head) {
                std::int64_t at = 3 * start + head;
                attend(x + at, x + at + apart, x + at + 2 * apart, y + start + head, kept ? p + i * square : nullptr, room, s);
            });
        });
        context->save_for_backward({given, weights});
        return out;
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        auto saved = context->get_saved_variables();
        auto &given = saved[0], &weights = saved[1];
        if (at::GradMode::is_enabled()) {  // a derivative of this derivative is wanted
            return torch::autograd::grad({composed(given)}, {given}, {gradients[0]}, true, true);
        }
        auto qkv = given.contiguous();
        auto pulled = gradients[0].contiguous();
        auto s = shape_of(qkv);
        auto dqkv = at::empty_like(qkv, qkv.options(), at::MemoryFormat::Contiguous);
        std::int64_t square = s.positions * s.positions, apart = s.pitch();
        by_kind(qkv, [&](auto* kind) {
            using T = std::remove_pointer_t<decltype(kind)>;
            auto* x = static_cast<const T*>(qkv.data_ptr());
            auto* y = static_cast<const T*>(pulled.data_ptr());
            auto* dx = static_cast<T*>(dqkv.data_ptr());
            const float* p = weights.data_ptr<float>();
            heads(s, [&](Room& room, std::int64_t i, std::int64_t start, std::int64_t head) {
                std::int64_t at = 3 * start + head;
                pull(x + at, x + at + apart, x + at + 2 * apart, y + start + head, p + i * square, dx + at, dx + at + apart,
                     dx + at + 2 * apart, room, s);
            });
        });
        return {dqkv};
    }
};

}  // namespace

// qkv: [B, L, 3, H, E]; `out` receives a new tensor [B, L, H, E].
extern "C" int dale_attention(const at::Tensor* qkv, at::Tensor** out, char* error, std::size_t error_size) {
    return caught(error, error_size, [&] {
        TORCH_CHECK(qkv->dim() == 5 && qkv->size(2) == 3, "attention needs [B, L, 3, H, E], found ", qkv->sizes());
        bool ours = qkv->device().is_cpu() && (qkv->scalar_type() == at::kFloat || qkv->scalar_type() == at::kBFloat16) &&
                    qkv->numel() > 0 && qkv->size(1) <= MOST_POSITIONS;
        *out = new at::Tensor(ours ? Attention::apply(*qkv) : composed(*qkv));
    });
}
