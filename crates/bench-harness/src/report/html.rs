//! Escaping of text for HTML and SVG, and the style sheet and the script of the page.

use super::ink::night_rules;

/// Escapes text for element content and for double- or single-quoted attributes. Control characters that no HTML or SVG may hold are
/// replaced by U+FFFD.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

const STYLE: &str = include_str!("style.css");

/// The page's style: no fonts or images from elsewhere, both colour schemes, and boxes that scroll by themselves rather than widen the
/// page. Charts change their colours with the scheme.
pub(super) fn style() -> String {
    format!("{STYLE}@media screen and (prefers-color-scheme: dark) {{\n{}}}\n", night_rules())
}

/// The page's script: sorting, values under the pointer, links to pictures.
pub(super) const SCRIPT: &str = include_str!("page.js");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        assert_eq!(escape("<a href=\"x\">'&'</a>\n"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;\n");
        assert_eq!(escape("a\u{0}b\u{1b}[31m"), "a\u{fffd}b\u{fffd}[31m");
        // Neither ends early where it stands in the page.
        assert!(!style().contains("</") && !SCRIPT.contains("</"));
        assert_eq!(escape("σ²/2 → ȳ"), "σ²/2 → ȳ");
    }
}
