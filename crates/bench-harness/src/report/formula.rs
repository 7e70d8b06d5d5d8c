//! LaTeX as MathML, which browsers draw by themselves: no script, no fonts from elsewhere.

use pulldown_latex::config::{DisplayMode, RenderConfig};
use pulldown_latex::{Parser, Storage, push_mathml};
use thiserror::Error;

/// LaTeX that cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the formula \"{latex}\" is not understood: {reason}")]
pub struct FormulaError {
    /// The formula.
    pub latex: String,
    /// Why.
    pub reason: String,
}

/// A formula, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formula {
    latex: String,
    inline: String,
    block: String,
}

impl Formula {
    /// Reads LaTeX mathematics, without dollar signs.
    ///
    /// # Errors
    /// [`FormulaError`] with the parser's reason.
    pub fn new(latex: &str) -> Result<Self, FormulaError> {
        Ok(Self {
            latex: latex.to_owned(),
            inline: render(latex, DisplayMode::Inline)?,
            block: render(latex, DisplayMode::Block)?,
        })
    }

    /// The LaTeX.
    pub fn latex(&self) -> &str {
        &self.latex
    }

    /// As MathML within a line.
    pub fn mathml(&self) -> &str {
        &self.inline
    }

    /// As MathML on a line of its own.
    pub fn display(&self) -> &str {
        &self.block
    }

    /// As GitHub's Markdown draws it, also inside a table.
    pub fn to_markdown(&self) -> String {
        format!("$`{}`$", self.latex.replace('|', "\\vert "))
    }
}

fn render(latex: &str, display_mode: DisplayMode) -> Result<String, FormulaError> {
    let refuse = |reason: String| FormulaError { latex: latex.to_owned(), reason };
    let storage = Storage::new();
    let events: Result<Vec<_>, _> = Parser::new(latex, &storage).collect();
    let events = events.map_err(|e| refuse(e.to_string()))?;
    let mut mathml = String::new();
    let config = RenderConfig { display_mode, ..RenderConfig::default() };
    let events = events.into_iter().map(Ok::<_, pulldown_latex::ParserError>);
    push_mathml(&mut mathml, events, config).map_err(|e| refuse(e.to_string()))?;
    Ok(mathml)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mathematics_becomes_markup() {
        let formula = Formula::new(r"X_t = X_0 \odot e^{m + \sqrt{v}\,\varepsilon}").unwrap();
        for piece in ["<math", "<msup", "<msqrt", "ε", "</math>"] {
            assert!(formula.mathml().contains(piece), "{piece}: {}", formula.mathml());
        }
        assert!(formula.display().contains("block") && !formula.mathml().contains("block"));
        assert_eq!(Formula::new(r"|x|").unwrap().to_markdown(), r"$`\vert x\vert `$");
    }

    #[test]
    fn nonsense_is_an_error_that_shows_it() {
        let error = Formula::new(r"\frac{a}{").unwrap_err();
        assert!(error.to_string().contains(r"\frac{a}{"), "{error}");
    }

    #[test]
    fn markup_in_a_formula_is_text() {
        assert!(!Formula::new(r"\text{<script>}").unwrap().mathml().contains("<script"));
    }
}
