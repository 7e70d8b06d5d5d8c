//! How results are shown: charts, image grids, tables, and the one self-contained page that holds them.
//!
//! Nothing here knows of networks, data sets or run folders. Everything goes in as plain numbers, bytes and text, so that a page can
//! be built, looked at and tested without any of them.
//!
//! | module | what it holds |
//! |---|---|
//! | [`plot`] | line and point charts as SVG |
//! | `pen`, `ink`, `legend` | how a chart is drawn: colours by day and by night, dashes, markers, text |
//! | `check` | what a chart cannot show |
//! | `points`, `csv` | the values behind a chart: under the pointer, and as comma-separated values |
//! | `drawing` | a drawn chart as files: SVG, PNG, CSV |
//! | [`forest`] | named values with intervals, one under the other |
//! | [`heat`] | a grid of numbers, by shade |
//! | [`axis`] | ranges, ticks and tick labels of a chart's axes |
//! | [`image`] | grids of grey images as PNG, strips of images with captions |
//! | [`plate`], [`animation`] | such pictures with captions as one drawing, and one after another |
//! | [`table`], `table_html` | one table, as HTML, Markdown or terminal text |
//! | [`page`], `figure` | `report.html`, in one file without outside requests |
//! | [`formula`] | LaTeX as MathML, which browsers draw by themselves |
//! | [`html`] | escaping, and the page's style sheet and script |

pub mod animation;
pub mod axis;
pub mod forest;
pub mod formula;
pub mod heat;
pub mod html;
pub mod image;
pub mod page;
pub mod plate;
pub mod plot;
pub mod table;

mod check;
pub(crate) mod csv;
mod drawing;
mod figure;
mod ink;
mod legend;
mod pen;
mod points;
mod table_html;
