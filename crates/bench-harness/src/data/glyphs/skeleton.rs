//! How digits are written: strokes through control points, three or more styles for each class.
//!
//! Coordinates are those of a writing box: x to the right, y down, the digit about 0.7 wide and 1 high. A stroke is a
//! smooth curve through its points, except at its `corners`, where the pen turns sharply. The shapes are our own.

/// Number of classes.
pub const CLASSES: usize = 10;

/// A point of the writing box, `(x, y)`.
pub type Point = (f64, f64);

/// One movement of the pen.
#[derive(Clone, Copy, Debug)]
pub struct Stroke {
    /// The pen goes through these.
    pub points: &'static [Point],
    /// Indices of points where it turns sharply.
    pub corners: &'static [usize],
}

/// One way to write a class.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// How common it is within its class; only ratios matter.
    pub weight: f64,
    /// Its strokes.
    pub strokes: &'static [Stroke],
}

const fn smooth(points: &'static [Point]) -> Stroke {
    Stroke { points, corners: &[] }
}

const fn bent(points: &'static [Point], corners: &'static [usize]) -> Stroke {
    Stroke { points, corners }
}

const fn style(weight: f64, strokes: &'static [Stroke]) -> Style {
    Style { weight, strokes }
}

/// The styles of each class.
pub static STYLES: [&[Style]; CLASSES] = [ZERO, ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN, EIGHT, NINE];

const ZERO: &[Style] = &[
    // Round, closed at the top.
    style(
        4.0,
        &[smooth(&[
            (0.55, 0.02),
            (0.28, 0.08),
            (0.10, 0.30),
            (0.05, 0.55),
            (0.12, 0.82),
            (0.36, 0.98),
            (0.62, 0.92),
            (0.82, 0.70),
            (0.87, 0.42),
            (0.76, 0.15),
            (0.55, 0.02),
            (0.45, 0.03),
        ])],
    ),
    // Narrow, the end crossing the beginning.
    style(
        3.0,
        &[smooth(&[
            (0.66, 0.10),
            (0.45, 0.01),
            (0.22, 0.14),
            (0.10, 0.45),
            (0.14, 0.78),
            (0.34, 0.98),
            (0.58, 0.90),
            (0.75, 0.62),
            (0.76, 0.30),
            (0.62, 0.08),
            (0.46, 0.10),
        ])],
    ),
    // Not quite closed.
    style(
        2.0,
        &[smooth(&[
            (0.50, 0.06),
            (0.22, 0.16),
            (0.08, 0.50),
            (0.18, 0.85),
            (0.45, 0.98),
            (0.74, 0.85),
            (0.86, 0.52),
            (0.78, 0.20),
            (0.62, 0.02),
        ])],
    ),
];

const ONE: &[Style] = &[
    // A plain stroke.
    style(7.0, &[smooth(&[(0.50, 0.00), (0.49, 0.35), (0.48, 0.70), (0.46, 1.00)])]),
    // With a flag.
    style(2.0, &[bent(&[(0.28, 0.22), (0.42, 0.13), (0.54, 0.00), (0.53, 0.35), (0.52, 0.70), (0.51, 1.00)], &[2])]),
    // With a flag and a foot.
    style(
        1.0,
        &[
            bent(&[(0.28, 0.22), (0.42, 0.13), (0.52, 0.00), (0.51, 0.35), (0.51, 0.70), (0.50, 0.99)], &[2]),
            smooth(&[(0.24, 1.00), (0.50, 0.99), (0.76, 0.98)]),
        ],
    ),
];

const TWO: &[Style] = &[
    // With a loop at the foot.
    style(
        3.0,
        &[smooth(&[
            (0.12, 0.25),
            (0.22, 0.08),
            (0.45, 0.00),
            (0.68, 0.10),
            (0.74, 0.30),
            (0.62, 0.55),
            (0.40, 0.78),
            (0.18, 0.94),
            (0.05, 0.93),
            (0.06, 0.82),
            (0.22, 0.79),
            (0.42, 0.88),
            (0.62, 0.95),
            (0.90, 0.88),
        ])],
    ),
    // With a sharp corner and a straight foot.
    style(
        4.0,
        &[bent(
            &[
                (0.12, 0.24),
                (0.25, 0.05),
                (0.48, 0.00),
                (0.68, 0.10),
                (0.72, 0.30),
                (0.58, 0.55),
                (0.32, 0.80),
                (0.08, 0.98),
                (0.35, 0.97),
                (0.60, 0.97),
                (0.86, 0.96),
            ],
            &[7],
        )],
    ),
    // Like a z, with a waving foot.
    style(
        2.0,
        &[bent(
            &[
                (0.10, 0.16),
                (0.38, 0.02),
                (0.64, 0.08),
                (0.68, 0.30),
                (0.45, 0.62),
                (0.12, 0.93),
                (0.32, 0.86),
                (0.56, 0.95),
                (0.86, 0.85),
            ],
            &[5],
        )],
    ),
];

const THREE: &[Style] = &[
    // Two bows that meet in a cusp.
    style(
        4.0,
        &[bent(
            &[
                (0.14, 0.14),
                (0.34, 0.01),
                (0.60, 0.04),
                (0.70, 0.20),
                (0.60, 0.38),
                (0.34, 0.48),
                (0.60, 0.52),
                (0.78, 0.68),
                (0.70, 0.88),
                (0.44, 1.00),
                (0.18, 0.94),
                (0.06, 0.82),
            ],
            &[5],
        )],
    ),
    // A small loop where the bows meet.
    style(
        2.0,
        &[smooth(&[
            (0.12, 0.12),
            (0.40, 0.00),
            (0.66, 0.12),
            (0.62, 0.34),
            (0.42, 0.47),
            (0.33, 0.51),
            (0.40, 0.55),
            (0.66, 0.58),
            (0.76, 0.76),
            (0.60, 0.96),
            (0.30, 0.98),
            (0.08, 0.86),
        ])],
    ),
    // With a flat top.
    style(
        1.0,
        &[bent(
            &[
                (0.12, 0.04),
                (0.40, 0.03),
                (0.70, 0.02),
                (0.52, 0.22),
                (0.36, 0.42),
                (0.62, 0.46),
                (0.78, 0.66),
                (0.68, 0.90),
                (0.40, 1.00),
                (0.10, 0.90),
            ],
            &[2, 4],
        )],
    ),
];

const FOUR: &[Style] = &[
    // Open, with a bar.
    style(
        4.0,
        &[
            bent(&[(0.22, 0.02), (0.16, 0.25), (0.10, 0.52), (0.40, 0.54), (0.82, 0.50)], &[2]),
            smooth(&[(0.70, 0.04), (0.66, 0.35), (0.62, 0.70), (0.58, 1.00)]),
        ],
    ),
    // Closed, as in print.
    style(
        2.0,
        &[
            bent(&[(0.60, 0.00), (0.35, 0.30), (0.06, 0.64), (0.40, 0.64), (0.88, 0.62)], &[2]),
            smooth(&[(0.60, 0.00), (0.58, 0.35), (0.57, 0.70), (0.56, 1.00)]),
        ],
    ),
    // A cup and a stem.
    style(
        2.0,
        &[
            smooth(&[(0.14, 0.05), (0.09, 0.30), (0.17, 0.48), (0.42, 0.51), (0.68, 0.40)]),
            smooth(&[(0.78, 0.03), (0.74, 0.38), (0.68, 0.72), (0.62, 1.00)]),
        ],
    ),
];

const FIVE: &[Style] = &[
    // Body, then hat.
    style(
        4.0,
        &[
            bent(
                &[
                    (0.28, 0.04),
                    (0.24, 0.22),
                    (0.20, 0.44),
                    (0.40, 0.36),
                    (0.64, 0.44),
                    (0.74, 0.64),
                    (0.62, 0.88),
                    (0.36, 1.00),
                    (0.08, 0.92),
                ],
                &[2],
            ),
            smooth(&[(0.28, 0.04), (0.52, 0.03), (0.84, 0.00)]),
        ],
    ),
    // In one stroke, with corners.
    style(
        3.0,
        &[bent(
            &[
                (0.82, 0.02),
                (0.56, 0.04),
                (0.32, 0.06),
                (0.26, 0.25),
                (0.22, 0.43),
                (0.45, 0.40),
                (0.66, 0.52),
                (0.70, 0.74),
                (0.52, 0.95),
                (0.25, 0.99),
                (0.05, 0.90),
            ],
            &[2, 4],
        )],
    ),
    // In one stroke, like an s.
    style(
        2.0,
        &[smooth(&[
            (0.88, 0.02),
            (0.58, 0.03),
            (0.34, 0.10),
            (0.28, 0.28),
            (0.42, 0.42),
            (0.62, 0.56),
            (0.64, 0.80),
            (0.42, 0.97),
            (0.10, 0.94),
        ])],
    ),
];

const SIX: &[Style] = &[
    // A bow into a wide loop.
    style(
        4.0,
        &[smooth(&[
            (0.66, 0.02),
            (0.42, 0.16),
            (0.20, 0.42),
            (0.10, 0.68),
            (0.20, 0.92),
            (0.44, 1.00),
            (0.68, 0.88),
            (0.72, 0.68),
            (0.55, 0.54),
            (0.32, 0.60),
            (0.15, 0.76),
        ])],
    ),
    // A straight stem and a small loop.
    style(
        3.0,
        &[smooth(&[
            (0.45, 0.00),
            (0.30, 0.25),
            (0.17, 0.52),
            (0.13, 0.78),
            (0.27, 0.97),
            (0.52, 0.95),
            (0.64, 0.78),
            (0.54, 0.62),
            (0.34, 0.64),
            (0.18, 0.80),
        ])],
    ),
    // A curl at the top and a large loop.
    style(
        1.5,
        &[smooth(&[
            (0.76, 0.08),
            (0.58, 0.01),
            (0.34, 0.14),
            (0.14, 0.42),
            (0.08, 0.70),
            (0.24, 0.95),
            (0.52, 0.99),
            (0.76, 0.82),
            (0.72, 0.58),
            (0.46, 0.48),
            (0.22, 0.58),
            (0.10, 0.74),
        ])],
    ),
];

const SEVEN: &[Style] = &[
    // Plain.
    style(4.0, &[bent(&[(0.08, 0.08), (0.40, 0.05), (0.78, 0.04), (0.64, 0.32), (0.50, 0.64), (0.40, 1.00)], &[2])]),
    // Crossed.
    style(
        1.5,
        &[
            bent(&[(0.08, 0.08), (0.40, 0.05), (0.78, 0.04), (0.64, 0.32), (0.50, 0.64), (0.40, 1.00)], &[2]),
            smooth(&[(0.28, 0.53), (0.52, 0.50), (0.80, 0.46)]),
        ],
    ),
    // With a serif.
    style(
        1.5,
        &[bent(
            &[(0.10, 0.24), (0.13, 0.06), (0.45, 0.05), (0.80, 0.03), (0.66, 0.30), (0.56, 0.62), (0.52, 1.00)],
            &[1, 3],
        )],
    ),
    // With a round shoulder.
    style(
        2.5,
        &[smooth(&[(0.08, 0.16), (0.30, 0.03), (0.60, 0.02), (0.76, 0.10), (0.70, 0.32), (0.52, 0.62), (0.38, 1.00)])],
    ),
];

const EIGHT: &[Style] = &[
    // In one stroke, crossing in the middle.
    style(
        4.0,
        &[smooth(&[
            (0.74, 0.14),
            (0.50, 0.00),
            (0.24, 0.10),
            (0.24, 0.32),
            (0.50, 0.48),
            (0.74, 0.68),
            (0.68, 0.92),
            (0.42, 1.00),
            (0.16, 0.88),
            (0.22, 0.66),
            (0.50, 0.48),
            (0.74, 0.30),
            (0.74, 0.12),
        ])],
    ),
    // Two loops.
    style(
        2.0,
        &[
            smooth(&[(0.48, 0.00), (0.24, 0.10), (0.24, 0.36), (0.48, 0.46), (0.72, 0.34), (0.70, 0.10), (0.48, 0.00)]),
            smooth(&[(0.48, 0.46), (0.20, 0.58), (0.14, 0.84), (0.44, 1.00), (0.76, 0.86), (0.74, 0.58), (0.48, 0.46)]),
        ],
    ),
    // Open at the top right.
    style(
        2.0,
        &[smooth(&[
            (0.76, 0.06),
            (0.50, 0.00),
            (0.26, 0.13),
            (0.32, 0.35),
            (0.58, 0.54),
            (0.66, 0.78),
            (0.46, 0.98),
            (0.20, 0.90),
            (0.20, 0.68),
            (0.48, 0.46),
            (0.70, 0.26),
            (0.86, 0.12),
        ])],
    ),
];

const NINE: &[Style] = &[
    // A loop and a straight stem.
    style(
        4.0,
        &[bent(
            &[
                (0.70, 0.14),
                (0.46, 0.02),
                (0.20, 0.14),
                (0.14, 0.36),
                (0.32, 0.48),
                (0.56, 0.40),
                (0.70, 0.12),
                (0.68, 0.42),
                (0.64, 0.72),
                (0.60, 1.00),
            ],
            &[6],
        )],
    ),
    // A curved tail.
    style(
        2.0,
        &[bent(
            &[
                (0.72, 0.20),
                (0.50, 0.01),
                (0.22, 0.10),
                (0.12, 0.32),
                (0.28, 0.48),
                (0.54, 0.42),
                (0.72, 0.18),
                (0.74, 0.48),
                (0.64, 0.82),
                (0.42, 1.00),
                (0.16, 0.92),
            ],
            &[6],
        )],
    ),
    // A loop and a leaning leg.
    style(
        2.0,
        &[bent(
            &[
                (0.68, 0.10),
                (0.40, 0.03),
                (0.16, 0.20),
                (0.20, 0.43),
                (0.48, 0.44),
                (0.72, 0.18),
                (0.62, 0.55),
                (0.44, 1.00),
            ],
            &[5],
        )],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_three_styles_inside_the_writing_box() {
        for (class, styles) in STYLES.iter().enumerate() {
            assert!(styles.len() >= 3, "{class}");
            for stroke in styles.iter().flat_map(|s| s.strokes) {
                assert!(stroke.points.len() >= 3, "{class}");
                assert!(stroke.corners.iter().all(|&c| 0 < c && c + 1 < stroke.points.len()));
                let inside = |&(x, y): &Point| (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y);
                assert!(stroke.points.iter().all(inside), "{class}");
            }
            assert!(styles.iter().all(|s| s.weight > 0.0 && !s.strokes.is_empty()));
        }
    }
}
