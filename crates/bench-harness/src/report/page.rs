//! `report.html`: one file with everything in it, that asks nothing of the network.
//!
//! Charts stand in it as SVG, pictures as base64 PNG, the style sheet inline. It follows the reader's light or dark scheme, and a wide
//! table or strip scrolls in its own box, so that a page fits a telephone too. A short script sorts tables and shows values
//! under the pointer; without it the page is complete, its tables in their order and its values in the browser's own tooltips.

use models::write::{WriteError, write_atomically};
use std::path::Path;

use super::formula::Formula;
use super::html::{SCRIPT, escape, style};
use super::plot::DrawingError;
use super::table::Table;

pub use super::figure::Figure;

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
             <link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n<style>\n{}</style>\n</head>\n\
             <body>\n<header>\n<h1>{title}</h1>\n",
            style()
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
        html + &format!("</footer>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n")
    }

    /// Writes the page to a file that appears whole or not at all.
    ///
    /// # Errors
    /// [`WriteError`], which names the path.
    pub fn write(&self, path: &Path) -> Result<(), WriteError> {
        write_atomically(path, self.html().as_bytes())
    }

    /// Writes every chart of the page into `folder`: as SVG, as PNG, and its numbers as CSV, named after its title.
    ///
    /// # Errors
    /// If a chart cannot be drawn or a file cannot be written.
    pub fn write_charts(&self, folder: &Path) -> Result<(), DrawingError> {
        let figures = self.sections.iter().flat_map(|section| &section.blocks).flat_map(|block| match block {
            Block::Figure(figure) => std::slice::from_ref(figure),
            Block::Figures(figures) => figures,
            _ => &[],
        });
        for svg in figures.filter_map(Figure::drawn) {
            svg.write(&folder.join(svg.file_stem()).with_extension("svg"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::super::image::{Grid, Strip};
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
        // The page's own script, and no other.
        assert_eq!(html.matches("<script").count(), 1, "{html}");
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
        for word in [
            "http:",
            "https:",
            "//cdn",
            "@import",
            "url(",
            "fetch(",
            "import",
            "<script src",
            "<link rel=\"stylesheet\"",
        ] {
            assert!(!rest.contains(word), "{word}");
        }
        for source in rest.split("src=\"").skip(1) {
            assert!(source.starts_with("data:image/png;base64,"), "{}", &source[..40]);
        }
        for target in rest.split("href=\"").skip(1) {
            let held = ["data:,\"", "data:text/csv;charset=utf-8,"].iter().any(|start| target.starts_with(start));
            assert!(held, "{}", &target[..40]);
        }
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
    fn every_figure_has_a_caption_and_data() {
        let html = full_page().html();
        let figures: Vec<&str> = html.split("<figure").skip(1).map(|f| f.split_once("</figure>").unwrap().0).collect();
        assert_eq!(figures.len(), 3);
        for figure in figures {
            assert!(figure.contains("<figcaption>&lt;script&gt;"), "{figure}");
            assert!(figure.contains("class=\"data\"") || figure.starts_with(" class=\"image\""), "{figure}");
        }
    }

    #[test]
    fn charts_of_a_page_are_written_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        full_page().write_charts(folder.path()).unwrap();
        let mut names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(
            names,
            ["script-alert-x-script-y.csv", "script-alert-x-script-y.png", "script-alert-x-script-y.svg"]
        );
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
