//! The paper's theorem 5.1 in one dimension, by quadrature: explicit, denoising and implicit losses differ by constants, for
//! every model and every parameter, and have the same gradients.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

mod common;

use common::law::{Law, gamma_law, mixture, mixture_law};
use common::models::{FAMILIES, Family, PARAMETERS, at};
use gbm_sde::quadrature::integrate;
use score_match::{loss, term};

fn laws() -> [Law; 4] {
    [mixture_law(0.35), mixture_law(1.7), gamma_law(2.3, 1.4, 0.35), gamma_law(1.3, 0.6, 0.9)]
}

fn ok(value: Result<f64, std::convert::Infallible>) -> f64 {
    let Ok(value) = value;
    value
}

/// M-ESM, M-DSM, M-ISM.
fn losses(law: &Law, family: Family, theta: [f64; 4]) -> [f64; 3] {
    let model = |y| at(family, theta, 0, y);
    let reciprocal_r = 1.0 / law.v.sqrt();
    [
        law.expect(|node| ok(term::explicit(&model(node.y).f, &node.truth))),
        law.expect_joint(|node| ok(term::denoising(&model(node.y).f, &node.eps, &reciprocal_r))),
        law.expect(|node| {
            let h = model(node.y);
            ok(term::implicit(&h.f, &h.y))
        }),
    ]
}

#[test]
fn nodes_integrate_to_one() {
    for law in laws() {
        assert!((law.expect(|_| 1.0) - 1.0).abs() < 1e-12, "{} {}", law.name, law.v);
        assert!((law.expect_joint(|_| 1.0) - 1.0).abs() < 1e-12);
        assert!((law.expect(|n| n.y) - law.expect_joint(|n| n.y)).abs() < 1e-12);
        // E[x ∂ₓ ln p] = −1 for every law, by parts.
        assert!((law.expect(|n| n.truth) + 1.0).abs() < 1e-11);
        assert!((law.expect_joint(|n| loss::hyvarinen_target(n.eps, law.v)) + 1.0).abs() < 1e-12);
    }
}

#[test]
fn losses_differ_by_constants() {
    for law in laws() {
        let square = law.expect(|node| node.truth * node.truth);
        let target_square = 1.0 + 1.0 / law.v;
        for (name, family) in FAMILIES {
            for theta in PARAMETERS {
                let [esm, dsm, ism] = losses(&law, family, theta);
                let scale = 1.0 + esm.abs();
                let error = (dsm - esm) - 0.5 * (target_square - square);
                assert!(error.abs() < 1e-10 * scale, "M-DSM: {} {name} {theta:?}: {error:e}", law.name);
                let error = (esm - ism) - 0.5 * square;
                assert!(error.abs() < 1e-10 * scale, "M-ISM: {} {name} {theta:?}: {error:e}", law.name);
            }
        }
    }
}

#[test]
fn gradients_are_equal() {
    for law in laws() {
        for (name, family) in FAMILIES {
            for theta in PARAMETERS {
                for by in 0..4 {
                    let model = |y| at(family, theta, by, y);
                    let explicit = law.expect(|node| {
                        let h = model(node.y);
                        (h.f - node.truth) * h.t
                    });
                    let denoising = law.expect_joint(|node| {
                        let h = model(node.y);
                        loss::hyvarinen_residual(h.f, node.eps, law.v) * h.t
                    });
                    let implicit = law.expect(|node| {
                        let h = model(node.y);
                        (h.f + 1.0) * h.t + h.yt
                    });
                    for other in [denoising, implicit] {
                        let error = (other - explicit).abs();
                        assert!(error < 1e-8 * (1.0 + explicit.abs()), "{} {name} {theta:?} {by}: {error:e}", law.name);
                    }
                }
            }
        }
    }
}

/// The gradients above are those of the losses: against difference quotients of the losses themselves.
#[test]
fn gradients_are_those_of_the_losses() {
    let (law, theta, step) = (mixture_law(0.35), PARAMETERS[0], 1e-4);
    for (name, family) in FAMILIES {
        for by in 0..4 {
            let moved = |sign: f64| {
                let mut theta = theta;
                theta[by] += sign * step;
                losses(&law, family, theta)
            };
            let (up, down) = (moved(1.0), moved(-1.0));
            let exact = law.expect(|node| {
                let h = at(family, theta, by, node.y);
                (h.f - node.truth) * h.t
            });
            for (up, down) in up.iter().zip(down) {
                assert!(((up - down) / (2.0 * step) - exact).abs() < 1e-6, "{name} {by}");
            }
        }
    }
}

/// The nodes against the library's adaptive quadrature, for one model.
#[test]
fn two_quadratures_agree() {
    let (v, theta) = (0.35, PARAMETERS[1]);
    for (_, family) in FAMILIES {
        let law = mixture_law(v);
        let mixture = mixture();
        let integrand = |y: f64| {
            let h = at(family, theta, 0, y);
            mixture.marginal_pdf(0, y, v) * ok(term::implicit(&h.f, &h.y))
        };
        let adaptive = integrate(integrand, -9.0, 9.0, 1e-13).unwrap().value;
        let [_, _, ism] = losses(&law, family, theta);
        assert!((adaptive - ism).abs() < 1e-11 * (1.0 + ism.abs()), "{adaptive} {ism}");
    }
}

/// With a wrong sign or factor anywhere the constants are none: these are the mistakes that the bound above would show.
#[test]
fn wrong_losses_are_noticed() {
    let law = gamma_law(2.3, 1.4, 0.35);
    let wrong: [fn(f64, f64) -> f64; 3] =
        [|h, s| 0.5 * h * h + s, |h, s| 0.5 * h * h - h + s, |h, s| 0.5 * h * h + h + 0.5 * s];
    for (_, family) in FAMILIES {
        for wrong in wrong {
            let constant = |theta| {
                let [esm, ..] = losses(&law, family, theta);
                esm - law.expect(|node| {
                    let h = at(family, theta, 0, node.y);
                    wrong(h.f, h.y)
                })
            };
            let constants = PARAMETERS.map(constant);
            let spread = constants.iter().map(|c| (c - constants[0]).abs()).fold(0.0, f64::max);
            assert!(spread > 1e-3, "{constants:?}");
        }
    }
}
