// Scaled dot-product attention over a few dozen positions as one differentiable operation. Called from src/native/attention.rs.
//
//     S = kᵀ q / √E      P = softmax over the positions of k      out = v P          q, k, v: [E, L] for each image and head
//
// On a CPU in f32 or bf16 the products of a head stay in the first-level cache, and nothing is copied or transposed in memory; libtorch's
// batched products take such small matrices one by one through a general one. Elsewhere, for many positions, and when a derivative of
// the derivative is wanted, it is libtorch's own attention.

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

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
    for (; n < stride; n += LANES) columns<1>(a, b + n, c + n, rows, depth, stride);
}

// Rows of n numbers to rows of `stride` floats, zero beyond n; and back.
template <typename T>
DALE_INLINE void widen(const T* from, float* to, std::int64_t rows, std::int64_t n, std::int64_t stride) {
    for (std::int64_t r = 0; r < rows; r++) {
        std::int64_t i = 0;
        for (; i + LANES <= n; i += LANES) store(to + r * stride + i, load(from + r * n + i));
        for (; i < stride; i += LANES) store(to + r * stride + i, i < n ? load_some(from + r * n + i, n - i) : F{});
    }
}
template <typename T>
DALE_INLINE void narrow(const float* from, T* to, std::int64_t rows, std::int64_t n, std::int64_t stride) {
    for (std::int64_t r = 0; r < rows; r++) {
        std::int64_t i = 0;
        for (; i + LANES <= n; i += LANES) store(to + r * n + i, load(from + r * stride + i));
        if (i < n) store_some(to + r * n + i, load(from + r * stride + i), n - i);
    }
}

DALE_INLINE void transpose(const float* from, float* to, std::int64_t n, std::int64_t stride) {
    for (std::int64_t i = 0; i < n; i++) {
        for (std::int64_t j = 0; j < n; j++) to[j * stride + i] = from[i * stride + j];
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
    std::int64_t images, heads, features, positions;
    std::int64_t stride() const { return (positions + LANES - 1) / LANES * LANES; }
    std::int64_t part() const { return features * positions; }
    float scale() const { return 1.0f / std::sqrt(static_cast<float>(features)); }
};

// Room for one head: three operands, one result, two squares.
struct Room {
    std::vector<float> q, k, v, out, square, other;
    explicit Room(const Shape& s)
        : q(s.features * s.stride()), k(q.size()), v(q.size()), out(q.size()), square(s.positions * s.stride()),
          other(square.size()) {}
};

template <typename T>
DALE_INLINE void attend_body(const T* q, const T* k, const T* v, T* out, float* weights, Room& room, const Shape& s) {
    std::int64_t e = s.features, l = s.positions, w = s.stride();
    widen(q, room.q.data(), e, l, w);
    widen(k, room.k.data(), e, l, w);
    widen(v, room.v.data(), e, l, w);
    product({room.k.data(), 1, w}, room.q.data(), room.square.data(), l, e, w);
    softmax(room.square.data(), l, w, s.scale());
    product({room.v.data(), w, 1}, room.square.data(), room.out.data(), e, l, w);
    narrow(room.out.data(), out, e, l, w);
    if (weights) narrow(room.square.data(), weights, l, l, w);
}

template <typename T>
DALE_INLINE void pull_body(const T* q, const T* k, const T* v, const T* pulled, const float* weights, T* dq, T* dk, T* dv,
                           Room& room, const Shape& s) {
    std::int64_t e = s.features, l = s.positions, w = s.stride();
    float *p = room.square.data(), *d = room.other.data(), *out = room.out.data();
    widen(weights, p, l, l, w);
    // dv = dout Pᵀ
    widen(pulled, room.q.data(), e, l, w);
    std::fill(room.other.begin(), room.other.end(), 0.0f);
    transpose(p, d, l, w);
    product({room.q.data(), w, 1}, d, out, e, l, w);
    narrow(out, dv, e, l, w);
    // dP = vᵀ dout, then dS = P (dP − Σ P dP) / √E
    widen(v, room.v.data(), e, l, w);
    product({room.v.data(), 1, w}, room.q.data(), d, l, e, w);
    for (std::int64_t i = 0; i < w; i += LANES) {
        F sum = {};
        for (std::int64_t j = 0; j < l; j++) sum += load(p + j * w + i) * load(d + j * w + i);
        for (std::int64_t j = 0; j < l; j++) {
            store(d + j * w + i, s.scale() * load(p + j * w + i) * (load(d + j * w + i) - sum));
        }
    }
    // dq = k dS, dk = q dSᵀ
    widen(k, room.k.data(), e, l, w);
    product({room.k.data(), w, 1}, d, out, e, l, w);
    narrow(out, dq, e, l, w);
    std::fill(room.square.begin(), room.square.end(), 0.0f);
    transpose(d, p, l, w);
    widen(q, room.q.data(), e, l, w);
    product({room.q.data(), w, 1}, p, out, e, l, w);
    narrow(out, dk, e, l, w);
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

// [B, 3, H, E, L] to [B, H, E, L].
at::Tensor composed(const at::Tensor& qkv) {
    auto rows = [&](int i) { return qkv.select(1, i).transpose(-1, -2); };
    return at::scaled_dot_product_attention(rows(0), rows(1), rows(2)).transpose(-1, -2);
}

Shape shape_of(const at::Tensor& qkv) { return {qkv.size(0), qkv.size(2), qkv.size(3), qkv.size(4)}; }

// For every image and head: its number, and where its q starts in [B, 3, H, E, L].
template <typename Action>
void heads(const Shape& s, Action action) {
    at::parallel_for(0, s.images * s.heads, 1, [&](std::int64_t from, std::int64_t to) {
        Room room(s);
        for (std::int64_t i = from; i < to; i++) {
            action(room, i, (i / s.heads * 3 * s.heads + i % s.heads) * s.part());
        }
    });
}

struct Attention : torch::autograd::Function<Attention> {
    static at::Tensor forward(AutogradContext* context, const at::Tensor& given) {
        auto qkv = given.contiguous();
        auto s = shape_of(qkv);
        auto out = at::empty({s.images, s.heads, s.features, s.positions}, qkv.options());
        // Only a backward pass needs the weights again.
        bool kept = given.requires_grad();
        auto weights = at::empty({kept ? s.images * s.heads : 0, s.positions, s.positions}, qkv.options().dtype(at::kFloat));
        std::int64_t square = s.positions * s.positions, apart = s.heads * s.part();
        by_kind(qkv, [&](auto* kind) {
            using T = std::remove_pointer_t<decltype(kind)>;
            auto* x = static_cast<const T*>(qkv.data_ptr());
            auto* y = static_cast<T*>(out.data_ptr());
            float* p = weights.data_ptr<float>();
            heads(s, [&](Room& room, std::int64_t i, std::int64_t at) {
                attend(x + at, x + at + apart, x + at + 2 * apart, y + i * s.part(), kept ? p + i * square : nullptr, room, s);
            });
        });
        context->save_for_backward({qkv, weights});
        return out;
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        auto saved = context->get_saved_variables();
        auto &qkv = saved[0], &weights = saved[1];
        if (at::GradMode::is_enabled()) {  // a derivative of this derivative is wanted
            return torch::autograd::grad({composed(qkv)}, {qkv}, {gradients[0]}, true, true);
        }
        auto pulled = gradients[0].contiguous();
        auto s = shape_of(qkv);
        auto dqkv = at::empty_like(qkv);
        std::int64_t square = s.positions * s.positions, apart = s.heads * s.part();
        by_kind(qkv, [&](auto* kind) {
            using T = std::remove_pointer_t<decltype(kind)>;
            auto* x = static_cast<const T*>(qkv.data_ptr());
            auto* y = static_cast<const T*>(pulled.data_ptr());
            auto* dx = static_cast<T*>(dqkv.data_ptr());
            const float* p = weights.data_ptr<float>();
            heads(s, [&](Room& room, std::int64_t i, std::int64_t at) {
                pull(x + at, x + at + apart, x + at + 2 * apart, y + i * s.part(), p + i * square, dx + at, dx + at + apart,
                     dx + at + 2 * apart, room, s);
            });
        });
        return {dqkv};
    }
};

}  // namespace

// qkv: [B, 3, H, E, L]; `out` receives a new tensor [B, H, E, L].
extern "C" int dale_attention(const at::Tensor* qkv, at::Tensor** out, char* error, std::size_t error_size) {
    return caught(error, error_size, [&] {
        TORCH_CHECK(qkv->dim() == 5 && qkv->size(1) == 3, "attention needs [B, 3, H, E, L], found ", qkv->sizes());
        bool ours = qkv->device().is_cpu() && (qkv->scalar_type() == at::kFloat || qkv->scalar_type() == at::kBFloat16) &&
                    qkv->numel() > 0 && qkv->size(4) <= MOST_POSITIONS;
        *out = new at::Tensor(ours ? Attention::apply(*qkv) : composed(*qkv));
    });
}
