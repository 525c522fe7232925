//! Templates: YAML files in which each `{{ }}` is one whole YAML value.
//!
//! That rule is what keeps a team's text from becoming YAML of its own: an expression is
//! printed as JSON, or put into the parsed tree, and can never end a string or open a key.
//!
//! * [`scan`] cuts the text into literal parts, expressions and tags, and refuses what
//!   could grow without bound.
//! * [`skeleton`] parses the text once, with marks where expressions stand.
//! * [`shapes`] does the same for each form that a template with tags takes.
//! * [`engine`] evaluates expressions with a small, bounded set of filters.
//!
//! # How work is bounded
//! Fuel alone does not bound memory (`x ~ x` eleven times over made 5 GB). So: no
//! multiplication of texts, no `namespace`, no macros, at most [`scan::MAX_JOINS`] joins and
//! [`scan::MAX_NAMES`] names in an expression, every `{% set %}` result and every filter result is
//! measured before the next step, all they make together stays below [`meter::MAX_WORK`], and
//! output stops at [`engine::MAX_OUTPUT`]. What an expression can make is then a fixed multiple
//! of what the inputs hold.

mod context;
pub mod engine;
pub mod meter;
pub mod scan;
mod shapes;
pub mod skeleton;

use crate::error::{Origin, Violation, Violations};
use crate::yaml::{Limits, Schema, read};
pub use context::{Context, Part};
use engine::Engine;
use scan::Scanned;
use serde_json::Value;
use shapes::Shapes;
use skeleton::Skeleton;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The text files of a component, for `text("name")`.
pub type Texts = Arc<BTreeMap<String, Arc<str>>>;

/// One template file, checked and ready for many units.
#[derive(Debug)]
pub struct Template {
    file: Arc<str>,
    scanned: Scanned,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// No block tags: parsed once, slots filled per unit.
    Skeleton(Skeleton),
    /// With block tags: run per unit, and parsed once for each form that it takes.
    Text(Box<Engine>, Shapes),
}

/// One object of a template with the line where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The value.
    pub value: Value,
    /// Where in the template it begins.
    pub at: Origin,
}

impl Template {
    /// Checks a template and prepares it.
    ///
    /// # Errors
    /// Every place where an expression is no whole value, a tag does not stand alone, or
    /// the text is no YAML.
    pub fn compile(file: Arc<str>, text: &str) -> Result<Self, Violations> {
        let scanned = scan::scan(&file, text)?;
        scanned.check_quotes(&file)?;
        let body = if scanned.has_tags() {
            scanned.check_lines(&file)?;
            Body::Text(Box::new(Engine::compile(&file, &scanned)?), Shapes::default())
        } else {
            Body::Skeleton(Skeleton::parse(&file, &scanned)?)
        };
        Ok(Self { file, scanned, body })
    }

    /// Returns the file it came from.
    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// Makes the objects of one unit.
    ///
    /// # Errors
    /// An undefined value, a failing expression, or a bound reached, with template:line.
    pub fn render(&self, context: &Context) -> Result<Vec<Made>, Violations> {
        meter::start();
        match &self.body {
            Body::Skeleton(skeleton) => skeleton.fill(&self.file, context),
            Body::Text(engine, shapes) => {
                let run = || engine.render(&self.file, &self.scanned, context);
                match shapes.make(&self.file, run).map_err(|v| vec![v])? {
                    Some(made) => Ok(made),
                    None => {
                        meter::start();
                        self.parse_rendered(&run().map_err(|v| vec![v])?)
                    }
                }
            }
        }
    }

    /// Makes the objects of a template with tags by printing and parsing it.
    #[cfg(test)]
    fn render_printed(&self, context: &Context) -> Result<Vec<Made>, Violations> {
        meter::start();
        let Body::Text(engine, _) = &self.body else { return self.render(context) };
        let text = engine.render(&self.file, &self.scanned, context).map_err(|v| vec![v])?;
        self.parse_rendered(&text)
    }

    /// Makes the objects of a template with tags by filling its form, where that is possible.
    #[cfg(test)]
    fn render_filled(&self, context: &Context) -> Option<Result<Vec<Made>, Violations>> {
        meter::start();
        let Body::Text(engine, shapes) = &self.body else { return None };
        let run = || engine.render(&self.file, &self.scanned, context).map_err(|v| vec![v]);
        shapes.make(&self.file, run).transpose()
    }

    fn parse_rendered(&self, text: &str) -> Result<Vec<Made>, Violations> {
        let wrong = |e: crate::yaml::YamlError| {
            // Lines of the output are not lines of the template once a block has run.
            let why = e.message.trim_start_matches("this is not YAML: ");
            let v = Violation::error(format!("what the template gives is not YAML: {why}"))
                .at(Origin::file(self.file.clone()))
                .hint("look at the lines that its `{% if %}` and `{% for %}` leave out or repeat");
            vec![v]
        };
        let documents = read(text.as_bytes(), &Limits::inputs()).map_err(wrong)?;
        documents
            .iter()
            .map(|d| {
                let value = d.to_value(Schema::Kubectl).map_err(wrong)?;
                Ok(Made { value, at: Origin::file(self.file.clone()) })
            })
            .collect()
    }
}

/// One expression outside a template: `enabled`, or a `{{ }}` in component.yaml.
#[derive(Debug)]
pub struct Expression {
    compiled: engine::Compiled,
    at: Origin,
}

impl Expression {
    /// Checks an expression.
    ///
    /// # Errors
    /// What is no expression, or could grow without bound.
    pub fn compile(text: &str, at: Origin) -> Result<Self, Violation> {
        scan::check_expression(text, &at)?;
        Ok(Self { compiled: engine::Compiled::new(text, &at)?, at })
    }

    /// Evaluates it.
    ///
    /// # Errors
    /// An undefined value or a failing operation.
    pub fn eval(&self, context: &Context) -> Result<Value, Violation> {
        meter::start();
        self.compiled.eval(context, || self.at.clone())
    }
}
