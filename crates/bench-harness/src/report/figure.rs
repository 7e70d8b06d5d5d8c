//! A picture of the page with its caption and its data.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::csv::{data_url, file_stem};
use super::html::escape;
use super::image::{ImageError, Png, Strip};
use super::plot::Svg;

/// What a figure shows.
#[derive(Clone, Debug, PartialEq)]
enum Picture {
    Chart(Svg),
    Image(Png),
    /// Name, and a picture with its caption for each image.
    Strips(Vec<(String, Vec<(Png, String)>)>),
}

/// A picture with its caption.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    picture: Picture,
    caption: String,
    alt: String,
    /// Pixels of strips as comma-separated values.
    pixels: String,
}

impl Figure {
    /// A chart. Screen readers get its title.
    pub fn chart(svg: Svg, caption: impl Into<String>) -> Self {
        Self { picture: Picture::Chart(svg), caption: caption.into(), alt: String::new(), pixels: String::new() }
    }

    /// A picture, with a text for those who do not see it.
    pub fn image(png: Png, caption: impl Into<String>, alt: impl Into<String>) -> Self {
        Self { picture: Picture::Image(png), caption: caption.into(), alt: alt.into(), pixels: String::new() }
    }

    /// Rows of images under each other, such as the forward path of an image above its reverse path; every image has its caption below
    /// it, and the columns of all rows stand in line.
    ///
    /// # Errors
    /// A row without images or with images without pixels.
    pub fn strips(strips: &[Strip], caption: impl Into<String>, alt: impl Into<String>) -> Result<Self, ImageError> {
        let rows = strips
            .iter()
            .map(|strip| {
                let captions = strip.captions.iter().cloned().chain(std::iter::repeat(String::new()));
                Ok((strip.name.clone(), strip.pictures()?.into_iter().zip(captions).collect()))
            })
            .collect::<Result<_, ImageError>>()?;
        Ok(Self {
            picture: Picture::Strips(rows),
            caption: caption.into(),
            alt: alt.into(),
            pixels: strips.iter().map(Strip::csv).collect(),
        })
    }

    /// The chart, if it is one.
    pub(super) fn drawn(&self) -> Option<&Svg> {
        match &self.picture {
            Picture::Chart(svg) => Some(svg),
            Picture::Image(_) | Picture::Strips(_) => None,
        }
    }

    /// The picture, its caption, and a link to its numbers. A grid of images is its own data; the page's script links to it.
    pub(super) fn html(&self) -> String {
        let (kind, picture) = match &self.picture {
            Picture::Chart(svg) => ("chart", svg.as_str().to_owned()),
            Picture::Image(png) => ("image", image(png, &self.alt)),
            Picture::Strips(rows) => ("strips", self.strips_html(rows)),
        };
        let data = self.csv().map_or(String::new(), |(stem, csv)| {
            format!("<a class=\"data\" download=\"{stem}.csv\" href=\"{}\">Data (CSV)</a>", data_url(&csv))
        });
        let between = if self.caption.is_empty() || data.is_empty() { "" } else { " " };
        let caption = format!("{}{between}{data}", escape(&self.caption));
        let caption = if caption.is_empty() { caption } else { format!("\n<figcaption>{caption}</figcaption>") };
        format!("<figure class=\"{kind}\">{picture}{caption}</figure>\n")
    }

    /// The name of a file, without its end, and the numbers that are shown; none for a picture that holds them itself.
    fn csv(&self) -> Option<(String, String)> {
        match &self.picture {
            Picture::Chart(svg) => Some((svg.file_stem(), svg.csv().to_owned())),
            Picture::Image(_) => None,
            Picture::Strips(_) => Some((file_stem(&self.alt), self.pixels.clone())),
        }
    }

    fn strips_html(&self, rows: &[(String, Vec<(Png, String)>)]) -> String {
        let columns = rows.iter().map(|(_, cells)| cells.len()).max().unwrap_or(0);
        let mut html = format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{}\">\
             <div class=\"strip\" style=\"grid-template-columns:repeat({columns},minmax(54px,1fr))\">\n",
            escape(&self.alt)
        );
        for (name, cells) in rows {
            html += &format!("<div class=\"name\">{}</div>\n", escape(name));
            for (i, (png, caption)) in cells.iter().enumerate() {
                // Rows of different lengths: the first image of a row starts a new line of the grid.
                let start = if i == 0 { " style=\"grid-column-start:1\"" } else { "" };
                html += &format!(
                    "<div class=\"cell\"{start}>{}{}</div>\n",
                    image(png, &format!("{name}, {caption}")),
                    escape(caption)
                );
            }
        }
        html + "</div></div>"
    }
}

fn image(png: &Png, alt: &str) -> String {
    let (width, height) = png.size();
    format!(
        "<img width=\"{width}\" height=\"{height}\" alt=\"{}\" src=\"data:image/png;base64,{}\">",
        escape(alt),
        STANDARD.encode(png.bytes())
    )
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::super::image::Grid;
    use super::super::plot::{Chart, Series};
    use super::*;

    #[test]
    fn an_embedded_picture_is_the_picture() {
        let png = Grid::default().draw(Array3::from_elem((2, 3, 3), 77).view()).unwrap();
        let html = Figure::image(png.clone(), "", "two").html();
        let encoded = html.split_once("base64,").unwrap().1.split_once('"').unwrap().0;
        assert_eq!(STANDARD.decode(encoded).unwrap(), png.bytes());
        let (width, height) = png.size();
        assert!(html.contains(&format!("<img width=\"{width}\" height=\"{height}\" alt=\"two\"")), "{html}");
        assert!(!html.contains("figcaption"));
    }

    /// What a browser reads from a link.
    fn linked(html: &str) -> (String, String) {
        let (_, rest) = html.split_once("download=\"").unwrap();
        let (name, rest) = rest.split_once('"').unwrap();
        let (_, rest) = rest.split_once("charset=utf-8,").unwrap();
        let url = rest.split_once('"').unwrap().0;
        let mut bytes = Vec::new();
        let mut rest = url.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'%' {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            } else {
                bytes.push(byte);
            }
        }
        (name.to_owned(), String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_chart_links_to_its_numbers() {
        let points = vec![(0.0, 0.1 + 0.2), (1.0, 1e-9)];
        let chart = Chart {
            title: "Loss & more".into(),
            series: vec![Series { name: "σ, \"x\"".into(), points, ..Series::default() }],
            ..Chart::default()
        };
        let svg = chart.draw().unwrap();
        let html = Figure::chart(svg.clone(), "How it falls.").html();
        assert!(html.contains("<figcaption>How it falls. <a class=\"data\""), "{html}");
        assert_eq!(linked(&html), ("loss-more.csv".to_owned(), svg.csv().to_owned()));
    }

    #[test]
    fn strips_link_to_their_pixels() {
        let images = Array3::from_shape_fn((2, 2, 2), |(n, y, x)| (100 * n + 10 * y + x) as u8);
        let strip = Strip { name: "forward, t".into(), images, captions: vec!["t = 0".into()] };
        let html = Figure::strips(&[strip], "", "noise levels").unwrap().html();
        let csv = "\"forward, t\",t = 0,0,1,10,11\n\"forward, t\",,100,101,110,111\n";
        assert_eq!(linked(&html), ("noise-levels.csv".to_owned(), csv.to_owned()));
    }
}
