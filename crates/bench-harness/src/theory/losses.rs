//! Losses, their equivalence (the paper's theorem 5.1), and the mirror map.

use anyhow::Result;
use score_match::loss::{denoiser_residual, hyvarinen_target};
use score_match::{DataMoments, Level, Parameterization, TimeWeight};

use super::identity::{Identity, Ledger, START, Truth, derivative, integral, normal};

/// Models of the Hyvärinen score, in `y`, with their derivatives: unlike each other and unlike the truth.
type Model = fn(f64) -> f64;
const MODELS: [(Model, Model); 5] = [
    (|y| -1.0 - 0.7 * y, |_| -0.7),
    (|y| 0.3 * y * y - y, |y| 0.6 * y - 1.0),
    (|y| (2.0 * y).tanh(), |y| 2.0 / (2.0 * y).cosh().powi(2)),
    (|y| 1.0 / (1.0 + y * y), |y| -2.0 * y / (1.0 + y * y).powi(2)),
    (|y| (1.3 * y + 0.4).sin() - 1.0, |y| 1.3 * (1.3 * y + 0.4).cos()),
];

pub(super) fn identities() -> Result<Vec<Identity>> {
    let mut ledger = Ledger::new(3);
    theorem(&mut ledger)?;
    targets(&mut ledger)?;
    mirror(&mut ledger);
    Ok(ledger.identities)
}

/// One loss difference for each model: all the same number.
fn theorem(ledger: &mut Ledger) -> Result<()> {
    let truth = Truth::new()?;
    let v: f64 = 0.3;
    let density = |y: f64| truth.start.log_pdf(&[y], v).exp();
    let score = |y: f64| derivative(|u| truth.start.log_pdf(&[u], v), y, 0.02) - 1.0;
    let (low, high) = (-7.0, 7.0);
    let (mut denoising, mut implicit, mut nonnegative) = (Vec::new(), Vec::new(), Vec::new());
    let mut first = None;
    for (h, slope) in MODELS {
        let explicit = integral(|y| 0.5 * density(y) * (h(y) - score(y)).powi(2), low, high)?;
        // E over ε inside, over the two components of the start outside, in which y_0 itself is Gaussian.
        let mut dsm = 0.0;
        for (w, mean, s) in START {
            let total = s + v;
            dsm += w * integral(
                |y| {
                    // Given y, the noise r ε = y − y_0 is Gaussian within the component.
                    let (centre, spread) = (v / total * (y - mean), v * s / total);
                    // E (h + 1 + rε/v)² over that Gaussian.
                    let shifted = h(y) + 1.0 + centre / v;
                    normal(y, mean, total) * 0.5 * (shifted * shifted + spread / (v * v))
                },
                low,
                high,
            )?;
        }
        let ism = integral(|y| density(y) * (0.5 * h(y).powi(2) + h(y) + slope(y)), low, high)?;
        // Hyvärinen's form in x, with ψ = h/x and dψ/dx by differences.
        let psi = |x: f64| h(x.ln()) / x;
        let hyvarinen = integral(
            |y| {
                let x = y.exp();
                let rate = derivative(psi, x, 0.01 * x);
                density(y) * (2.0 * x * psi(x) + x * x * rate + 0.5 * (x * psi(x)).powi(2))
            },
            low,
            high,
        )?;
        let (d, i) = (explicit - dsm, explicit - ism);
        let (d0, i0) = *first.get_or_insert((d, i));
        denoising.push((d, d0));
        implicit.push((i, i0));
        nonnegative.push((ism, hyvarinen));
    }
    ledger.add(
        r"\text{M-ESM}(\theta) - \text{M-DSM}(\theta) = \text{const}",
        ("explicit loss, score by finite differences", "denoising loss, five models"),
        1e-9,
        &denoising,
    );
    ledger.add(
        r"\begin{gathered} \text{M-ESM}(\theta) - \text{M-ISM}(\theta) = \text{const}, \\ \text{M-ISM} = E\, \bigl[\tfrac{1}{2} h^2 + h + x h'\bigr] \end{gathered}",
        ("explicit loss, score by finite differences", "implicit loss, five models"),
        1e-9,
        &implicit,
    );
    ledger.add(
        r"\begin{gathered} E\,\bigl[\tfrac{1}{2} h^2 + h + x h'\bigr] = E\,\bigl[2 x \psi + x^2 \psi' + \tfrac{1}{2} x^2 \psi^2\bigr], \\ \psi = h/x \end{gathered}",
        ("M-ISM in ln x", "Hyvärinen (2007) in x, ψ' by finite differences"),
        1e-9,
        &nonnegative,
    );
    Ok(())
}

fn targets(ledger: &mut Ledger) -> Result<()> {
    let (mut target, mut residual) = (Vec::new(), Vec::new());
    let mut weights = [Vec::new(), Vec::new(), Vec::new()];
    let (y0, m, sigma_d) = (0.4, -0.2, 0.219);
    for v in [0.01_f64, 0.3, 4.0] {
        for eps in [-1.3, 0.4, 2.2] {
            let x = (y0 + m + v.sqrt() * eps).exp();
            let ln_p = |z: f64| (normal(z.ln(), y0 + m, v) / z).ln();
            target.push((hyvarinen_target(eps, v), x * derivative(ln_p, x, 0.005 * x)));

            let level = Level { v, m, moments: DataMoments { log_mean: 0.095, log_sd: sigma_d } };
            let (y_bar, denoised) = (y0 + v.sqrt() * eps, y0 + 0.3 * eps - 0.1);
            let as_ = |p: Parameterization| p.from_denoiser(denoised, y_bar, &level);
            let h = as_(Parameterization::Hyvarinen);
            residual.push((denoiser_residual(denoised, y0, v), h - hyvarinen_target(eps, v)));
            let square = (h - hyvarinen_target(eps, v)).powi(2);
            let noise = (as_(Parameterization::Noise) - eps).powi(2);
            let network = {
                let total = v + sigma_d * sigma_d;
                let skip = 0.095 + sigma_d * sigma_d / total * (y_bar - 0.095);
                let scale = v.sqrt() * sigma_d / total.sqrt();
                ((denoised - skip) / scale - (y0 - skip) / scale).powi(2)
            };
            let others =
                [(TimeWeight::Paper, (denoised - y0).powi(2)), (TimeWeight::Noise, noise), (TimeWeight::Edm, network)];
            for (sides, (weight, other)) in weights.iter_mut().zip(others) {
                sides.push((weight.lambda(v, sigma_d) * square / other, 1.0));
            }
        }
    }
    ledger.add(
        r"x\, \partial_x \ln p(x \mid x_0) = -1 - \varepsilon/\sqrt{v}",
        ("formula of the target", "finite difference of the transition density"),
        1e-7,
        &target,
    );
    ledger.add(
        r"h_\theta - \text{target} = (D_\theta - \ln x_0)/v",
        ("from the denoiser", "from the Hyvärinen score"),
        1e-9,
        &residual,
    );
    let means = ("weighted error of h, as a ratio to the other side", "one");
    ledger.add(
        r"\lambda = v^2:\; \lambda\, (h_\theta - \text{target})^2 = (D_\theta - \ln x_0)^2",
        means,
        1e-10,
        &weights[0],
    );
    ledger.add(
        r"\lambda = v:\; \lambda\, (h_\theta - \text{target})^2 = (\varepsilon_\theta - \varepsilon)^2",
        means,
        1e-10,
        &weights[1],
    );
    ledger.add(
        r"\lambda = v (v + \sigma_d^2)/\sigma_d^2:\; \lambda\, (h_\theta - \text{target})^2 = (F_\theta - F)^2",
        means,
        1e-10,
        &weights[2],
    );
    Ok(())
}

/// The entropy map: its gradient is the logarithm, and mirror descent with it is the exponentiated update.
fn mirror(ledger: &mut Ledger) {
    let energy = |x: f64| (x - 1.3).powi(2) + 0.2 * x.ln();
    let (mut gradients, mut descent, mut metric) = (Vec::new(), Vec::new(), Vec::new());
    for x in [0.3, 1.1, 2.7] {
        let x: f64 = x;
        gradients.push((x.ln(), derivative(|z| z * z.ln() - z, x, 0.02 * x)));
        let slope = derivative(energy, x, 0.01 * x);
        let eta = 0.07;
        // The Bregman divergence from its definition; the minimum where the numerical slope of the objective changes sign.
        let phi = |z: f64| z * z.ln() - z;
        let rise = derivative(phi, x, 0.01 * x);
        let objective = |z: f64| eta * slope * z + phi(z) - phi(x) - rise * (z - x);
        let (mut low, mut high) = (0.2 * x, 5.0 * x);
        for _ in 0..60 {
            let z = 0.5 * (low + high);
            if derivative(objective, z, 0.01 * z) < 0.0 { low = z } else { high = z }
        }
        descent.push((x * (-eta * slope).exp(), 0.5 * (low + high)));
        metric.push((x * slope, derivative(|y| energy(y.exp()), x.ln(), 0.01)));
    }
    ledger.add(r"\nabla \sum (x \ln x - x) = \ln x", ("formula", "finite difference"), 1e-10, &gradients);
    ledger.add(
        r"\arg\min_z\, \eta f'(x) z + B_\phi(z, x) = x\, e^{-\eta f'(x)}",
        ("exponentiated gradient step", "bisection of the objective's finite difference"),
        1e-8,
        &descent,
    );
    ledger.add(
        r"\partial_y f(e^{y}) = x\, \partial_x f(x)",
        ("factor x: Dale–Langevin's exponent against EGD's", "finite difference in ln x"),
        1e-9,
        &metric,
    );
}
