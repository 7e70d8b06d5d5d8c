//! The colours of charts, by day and by night.
//!
//! Those of series are Okabe and Ito's (*Color universal design*, 2008), which people with any colour vision tell apart. A drawing holds
//! the colours of the day; a page replaces them where its reader prefers a dark screen, and paper gets those of the day again.

use plotters::prelude::RGBColor;

/// What a chart is drawn on.
pub(super) const PAPER: RGBColor = RGBColor(255, 255, 255);
/// Text that matters.
pub(super) const INK: RGBColor = RGBColor(38, 43, 50);
/// Axes, tick labels, reference lines.
pub(super) const MUTED: RGBColor = RGBColor(89, 98, 110);
/// Raw values behind a curve.
pub(super) const FAINT: RGBColor = RGBColor(176, 184, 194);
/// Lines of the grid.
pub(super) const GRID: RGBColor = RGBColor(228, 231, 236);

/// Series, in their order.
pub(super) const PALETTE: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(0, 0, 0),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];

/// The same by night, in the same order.
const PALETTE_BY_NIGHT: [RGBColor; 7] = [
    RGBColor(77, 163, 224),
    RGBColor(255, 133, 61),
    RGBColor(44, 200, 155),
    RGBColor(231, 154, 198),
    RGBColor(242, 244, 247),
    RGBColor(168, 219, 248),
    RGBColor(245, 196, 81),
];

const OTHERS_BY_NIGHT: [(RGBColor, RGBColor); 5] = [
    (PAPER, RGBColor(27, 31, 37)),
    (INK, RGBColor(230, 233, 237)),
    (MUTED, RGBColor(154, 164, 177)),
    (FAINT, RGBColor(112, 122, 135)),
    (GRID, RGBColor(48, 55, 66)),
];

/// Each colour of a drawing with the one that replaces it by night.
fn by_night() -> impl Iterator<Item = (RGBColor, RGBColor)> {
    PALETTE.into_iter().zip(PALETTE_BY_NIGHT).chain(OTHERS_BY_NIGHT)
}

/// Rules of a style sheet that draw charts inside a page in the colours of the night.
pub(super) fn night_rules() -> String {
    by_night()
        .map(|(day, night)| {
            let (day, night) = (hex(day), hex(night));
            format!("  svg [fill=\"{day}\"] {{ fill: {night}; }}\n  svg [stroke=\"{day}\"] {{ stroke: {night}; }}\n")
        })
        .collect()
}

/// A colour as the drawing library writes it.
pub(super) fn hex(color: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", color.0, color.1, color.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of WCAG 2.
    fn luminance(color: RGBColor) -> f64 {
        let linear = |byte: u8| {
            let c = f64::from(byte) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(color.0) + 0.7152 * linear(color.1) + 0.0722 * linear(color.2)
    }

    fn contrast(a: RGBColor, b: RGBColor) -> f64 {
        let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
        a.max(b) / a.min(b)
    }

    #[test]
    fn text_and_lines_stand_out_by_day_and_by_night() {
        let night = |day: RGBColor| by_night().find(|pair| hex(pair.0) == hex(day)).unwrap().1;
        for (paper, ink, muted) in [(PAPER, INK, MUTED), (night(PAPER), night(INK), night(MUTED))] {
            assert!(contrast(paper, ink) > 7.0 && contrast(paper, muted) > 4.5);
        }
        for day in PALETTE {
            assert!(contrast(night(PAPER), night(day)) > 4.5, "{}", hex(day));
            // The two lightest have their markers and dashes too.
            assert!(contrast(PAPER, day) > 2.0, "{}", hex(day));
        }
    }

    #[test]
    fn every_colour_has_its_own_rule() {
        let rules = night_rules();
        for (day, _) in by_night() {
            assert_eq!(rules.matches(&format!("fill=\"{}\"", hex(day))).count(), 1);
        }
    }
}
