//! `report.html`: one file with everything in it, that asks nothing of the network and runs no script.
//!
//! Charts stand in it as SVG, pictures as base64 PNG, the style sheet inline. It follows the reader's light or dark scheme, and a wide
//! table or strip scrolls in its own box, so that a page fits a telephone too.

use models::write::{WriteError, write_atomically};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::formula::Formula;
use super::html::{STYLE, escape};
use super::image::{ImageError, Png, Strip};
use super::plot::Svg;
use super::table::Table;

/// A warning in a frame at the head of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    /// The warning in a few words.
    pub title: String,
    /// What it means for the reader.
    pub text: String,
}

/// A key figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The number, with its unit.
    pub value: String,
    /// What it is.
    pub label: String,
}

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
}

impl Figure {
    /// A chart. Screen readers get its title.
    pub fn chart(svg: Svg, caption: impl Into<String>) -> Self {
        Self { picture: Picture::Chart(svg), caption: caption.into(), alt: String::new() }
    }

    /// A picture, with a text for those who do not see it.
    pub fn image(png: Png, caption: impl Into<String>, alt: impl Into<String>) -> Self {
        Self { picture: Picture::Image(png), caption: caption.into(), alt: alt.into() }
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
        Ok(Self { picture: Picture::Strips(rows), caption: caption.into(), alt: alt.into() })
    }

    fn html(&self) -> String {
        let picture = match &self.picture {
            Picture::Chart(svg) => svg.as_str().to_owned(),
            Picture::Image(png) => image(png, &self.alt),
            Picture::Strips(rows) => self.strips_html(rows),
        };
        let caption = if self.caption.is_empty() {
            String::new()
        } else {
            format!("\n<figcaption>{}</figcaption>", escape(&self.caption))
        };
        format!("<figure>{picture}{caption}</figure>\n")
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

/// A part of a section.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Text.
    Paragraph(String),
    /// One figure.
    Figure(Figure),
    /// Figures side by side where there is room.
    Figures(Vec<Figure>),
    /// Displayed mathematics.
    Formula(Formula),
    /// A table.
    Table(Table),
    /// Text as it is, such as a configuration.
    Preformatted(String),
    /// The same, folded under a heading until the reader opens it.
    Folded {
        /// What is to be seen before it is opened.
        summary: String,
        /// The text.
        text: String,
    },
}

impl Block {
    fn html(&self) -> String {
        match self {
            Self::Paragraph(text) => format!("<p>{}</p>\n", escape(text)),
            Self::Figure(figure) => figure.html(),
            Self::Figures(figures) => {
                let all: String = figures.iter().map(Figure::html).collect();
                format!("<div class=\"figures\">\n{all}</div>\n")
            }
            Self::Formula(formula) => {
                format!("<div class=\"formula scroll\" tabindex=\"0\">{}</div>\n", formula.display())
            }
            Self::Table(table) => table.to_html(),
            Self::Preformatted(text) => preformatted(text),
            Self::Folded { summary, text } => {
                format!("<details><summary>{}</summary>{}</details>\n", escape(summary), preformatted(text))
            }
        }
    }
}

fn preformatted(text: &str) -> String {
    // A parser drops one line feed after the tag; this one is it.
    format!("<pre tabindex=\"0\">\n{}</pre>\n", escape(text))
}

/// A headed part of the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Heading.
    pub title: String,
    /// What stands in it.
    pub blocks: Vec<Block>,
}

/// The page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Title.
    pub title: String,
    /// A line below it.
    pub subtitle: String,
    /// A warning, if there is one.
    pub banner: Option<Banner>,
    /// Key figures.
    pub cards: Vec<Card>,
    /// The sections.
    pub sections: Vec<Section>,
    /// Lines at the foot: version, revision, when and where.
    pub footer: Vec<String>,
}

impl Page {
    /// The page as one HTML document.
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        // An empty data URL keeps browsers from asking a server for an icon.
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n\
             <body>\n<header>\n<h1>{title}</h1>\n"
        );
        if !self.subtitle.is_empty() {
            html += &format!("<p class=\"subtitle\">{}</p>\n", escape(&self.subtitle));
        }
        html += "</header>\n<main>\n";
        if let Some(banner) = &self.banner {
            html += &format!(
                "<div class=\"banner\" role=\"note\"><strong>{}</strong>{}</div>\n",
                escape(&banner.title),
                escape(&banner.text)
            );
        }
        if !self.cards.is_empty() {
            html += "<ul class=\"cards\">\n";
            for card in &self.cards {
                html += &format!(
                    "<li><span class=\"value\">{}</span><span class=\"label\">{}</span></li>\n",
                    escape(&card.value),
                    escape(&card.label)
                );
            }
            html += "</ul>\n";
        }
        for section in &self.sections {
            html += "<section>\n";
            if !section.title.is_empty() {
                html += &format!("<h2>{}</h2>\n", escape(&section.title));
            }
            html.extend(section.blocks.iter().map(Block::html));
            html += "</section>\n";
        }
        html += "</main>\n<footer>\n";
        for line in &self.footer {
            html += &format!("<p>{}</p>\n", escape(line));
        }
        html + "</footer>\n</body>\n</html>\n"
    }

    /// Writes the page to a file that appears whole or not at all.
    ///
    /// # Errors
    /// [`WriteError`], which names the path.
    pub fn write(&self, path: &Path) -> Result<(), WriteError> {
        write_atomically(path, self.html().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::super::image::Grid;
    use super::super::plot::{Chart, Series};
    use super::super::table::{Cell, Column};
    use super::*;

    const NASTY: &str = "<script>alert(\"x\")</script> & 'y'";

    fn full_page() -> Page {
        let nasty = NASTY.to_owned();
        let chart = Chart {
            title: nasty.clone(),
            x_label: nasty.clone(),
            y_label: nasty.clone(),
            series: vec![Series { name: nasty.clone(), points: vec![(0.0, 1.0), (1.0, 2.0)], ..Series::default() }],
            ..Chart::default()
        };
        let png = Grid::default().draw(Array3::zeros((4, 3, 3)).view()).unwrap();
        let strip = Strip { name: nasty.clone(), images: Array3::zeros((3, 2, 2)), captions: vec![nasty.clone()] };
        let mut table = Table::new(nasty.clone(), vec![Column::text(nasty.clone()), Column::number("n")]);
        table.push(vec![nasty.as_str().into(), Cell::Number(1.0)]).unwrap();
        table.notes.push(nasty.clone());
        Page {
            title: nasty.clone(),
            subtitle: nasty.clone(),
            banner: Some(Banner { title: nasty.clone(), text: nasty.clone() }),
            cards: vec![Card { value: nasty.clone(), label: nasty.clone() }],
            sections: vec![Section {
                title: nasty.clone(),
                blocks: vec![
                    Block::Paragraph(nasty.clone()),
                    Block::Figures(vec![
                        Figure::chart(chart.draw().unwrap(), nasty.clone()),
                        Figure::image(png, nasty.clone(), nasty.clone()),
                    ]),
                    Block::Figure(Figure::strips(&[strip], nasty.clone(), nasty.clone()).unwrap()),
                    Block::Table(table),
                    Block::Preformatted(nasty.clone()),
                    Block::Folded { summary: nasty.clone(), text: nasty.clone() },
                ],
            }],
            footer: vec![nasty],
        }
    }

    #[test]
    fn all_text_is_escaped() {
        let html = full_page().html();
        assert!(!html.contains("<script"), "{html}");
        assert!(!html.contains("alert(\"x\")"), "{html}");
        // Each place where text can stand shows it.
        assert!(html.matches("&lt;script&gt;").count() >= 20);
    }

    #[test]
    fn nothing_is_asked_of_the_network() {
        let html = full_page().html();
        let namespace = "xmlns=\"http://www.w3.org/2000/svg\"";
        let rest = html.replace(namespace, "");
        assert_ne!(rest.len(), html.len());
        for word in ["http:", "https:", "//cdn", "@import", "url(", "<script", "<link rel=\"stylesheet\""] {
            assert!(!rest.contains(word), "{word}");
        }
        for source in rest.split("src=\"").skip(1) {
            assert!(source.starts_with("data:image/png;base64,"), "{}", &source[..40]);
        }
        for target in rest.split("href=\"").skip(1) {
            assert!(target.starts_with("data:,\""), "{}", &target[..40]);
        }
    }

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

    #[test]
    fn tags_are_balanced() {
        let html = full_page().html();
        for tag in
            ["section", "figure", "div", "table", "tr", "td", "ul", "li", "pre", "svg", "text", "details", "span", "p"]
        {
            let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn a_page_is_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        let page = full_page();
        page.write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), page.html());
        let error = page.write(&folder.path().join("no").join("report.html")).unwrap_err();
        assert!(error.to_string().contains("report.html"));
    }
}
