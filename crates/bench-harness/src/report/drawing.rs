//! A chart that is drawn: as SVG, as PNG, and the numbers that it shows.

use std::path::Path;

use models::write::{WriteError, write_atomically};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg;
use thiserror::Error;

use super::csv::file_stem;
use super::image::Png;
use super::plot::{PlotError, WIDTH};

/// Pixels of a PNG for one unit of the chart.
const DENSITY: f32 = 2.0;

/// A part of DejaVu Sans: Latin, Greek, mathematics. See `font/LICENSE`.
const FONT: &[u8] = include_bytes!("font/DejaVuSans.subset.ttf");
const FONT_NAME: &str = "DejaVu Sans";

/// A drawn chart: an `<svg>` element without width and height that fills the box it stands in, readable alone or inside HTML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Svg {
    pub(super) name: String,
    pub(super) element: String,
    pub(super) csv: String,
}

/// A chart that could not be written.
#[derive(Debug, Error)]
pub enum DrawingError {
    /// It could not be drawn as PNG.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Svg {
    /// The element.
    pub fn as_str(&self) -> &str {
        &self.element
    }

    /// The numbers as comma-separated values: one line for each point, in full precision.
    pub fn csv(&self) -> &str {
        &self.csv
    }

    /// The same with other numbers, where a chart shows less than is known.
    #[must_use]
    pub fn with_csv(self, csv: String) -> Self {
        Self { csv, ..self }
    }

    /// A name for its files, without an end.
    pub fn file_stem(&self) -> String {
        file_stem(&self.name)
    }

    /// The chart in pixels, for places that show no SVG, with a font that is the same on every machine.
    ///
    /// # Errors
    /// [`PlotError::Draw`].
    pub fn png(&self) -> Result<Png, PlotError> {
        let failed = |message: String| PlotError::Draw { chart: self.name.clone(), message };
        let mut options = usvg::Options { font_family: FONT_NAME.into(), ..usvg::Options::default() };
        options.fontdb_mut().load_font_data(FONT.to_vec());
        options.fontdb_mut().set_sans_serif_family(FONT_NAME);
        let tree = usvg::Tree::from_str(&self.element, &options).map_err(|error| failed(error.to_string()))?;
        let scale = DENSITY * WIDTH as f32 / tree.size().width();
        let side = |length: f32| (length * scale).round() as u32;
        let (width, height) = (side(tree.size().width()), side(tree.size().height()));
        let mut pixels =
            Pixmap::new(width, height).ok_or_else(|| failed(format!("{width} × {height} pixels are too many")))?;
        // A last row of which the drawing covers only a part would be dark.
        pixels.fill(resvg::tiny_skia::Color::WHITE);
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
        let opaque: Vec<u8> = pixels.data().chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        Png::from_rgb(&opaque, width, height).map_err(|error| failed(error.to_string()))
    }

    /// Writes the chart as SVG to `path`, and beside it as `.png` and its numbers as `.csv`.
    ///
    /// # Errors
    /// If it cannot be drawn in pixels, or a file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), DrawingError> {
        write_atomically(path, self.element.as_bytes())?;
        write_atomically(&path.with_extension("csv"), self.csv.as_bytes())?;
        self.png()?.write(&path.with_extension("png"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::plot::{Chart, Mark, Rule, Series};
    use super::*;

    fn example() -> Svg {
        let series = |name: &str, mark| Series {
            name: name.into(),
            mark,
            points: vec![(0.1, 0.1 + 0.2), (10.0, 1e-7)],
            band: vec![(0.2, 0.4), (1e-8, 1e-6)],
        };
        let chart = Chart {
            title: "Error, r → 0".into(),
            x_label: "steps".into(),
            y_label: "distance, x".into(),
            series: vec![series("heun", Mark::Both), Series { band: vec![], ..series("a \"b\"", Mark::Line) }],
            rules: vec![Rule { name: "goal".into(), y: 0.25 }],
            ..Chart::default()
        };
        chart.draw().unwrap()
    }

    #[test]
    fn the_numbers_stand_beside_it() {
        assert_eq!(
            example().csv(),
            "series,steps,\"distance, x\",low,high\n\
             heun,0.1,0.30000000000000004,0.2,0.4\n\
             heun,10,1e-7,1e-8,1e-6\n\
             \"a \"\"b\"\"\",0.1,0.30000000000000004,,\n\
             \"a \"\"b\"\"\",10,1e-7,,\n\
             goal,,0.25,,\n"
        );
    }

    #[test]
    fn three_files_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let svg = example();
        svg.write(&folder.path().join("error.svg")).unwrap();
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        assert_eq!(read("error.svg"), svg.as_str().as_bytes());
        assert_eq!(read("error.csv"), svg.csv().as_bytes());
        let png = Png::from_bytes(read("error.png")).unwrap();
        assert_eq!(png.size().0, 2 * WIDTH as usize);
        assert_eq!(svg.file_stem(), "error-r-0");
    }

    /// The picture has paper, the colours of the series, and text, for which the font is found.
    #[test]
    fn pixels_show_lines_and_text() {
        let chart = |title: &str| Chart {
            title: title.into(),
            series: vec![Series { points: vec![(0.0, 1.0), (1.0, 2.0)], ..Series::default() }],
            ..Chart::default()
        };
        let pixels = |chart: Chart| {
            let png = chart.draw().unwrap().png().unwrap();
            let mut reader = png::Decoder::new(std::io::Cursor::new(png.bytes())).read_info().unwrap();
            let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut bytes).unwrap();
            bytes
        };
        let count = |bytes: &[u8], color: [u8; 3]| bytes.chunks_exact(3).filter(|pixel| *pixel == color).count();
        let written = pixels(chart("ȳ ≈ σ²·10⁻³"));
        assert!(count(&written, [255, 255, 255]) > written.len() / 6);
        assert!(count(&written, [0, 114, 178]) > 1000);
        // A glyph that the font lacks leaves an empty place or a box, always the same; these are all there.
        let lacking = pixels(chart("漢"));
        for letter in ["ȳ", "≈", "σ", "²", "⁻", "Φ", "√", "→", "−", "–", "×", "α", "μ", "∞", "≤", "δ", "½", "₁"]
        {
            assert!(pixels(chart(letter)) != lacking, "{letter}");
        }
        assert!(pixels(chart("字")) == lacking);
    }
}
