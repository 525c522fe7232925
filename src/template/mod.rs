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
use scan::{MARK_CLOSE, MARK_OPEN, Scanned};
use serde_json::Value;
use shapes::Shapes;
use skeleton::{Documents, Skeleton};
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

/// What the expressions of a template gave for one unit.
#[derive(Debug)]
pub enum Evaluated<'t> {
    /// A form, and the values of its slots.
    Form(Form<'t>, Vec<Value>),
    /// The objects themselves, where there is no form.
    Objects(Vec<Made>),
}

/// What a template parses to for many units, with slots for what differs between them.
#[derive(Debug)]
pub enum Form<'t> {
    /// Of a template without tags.
    Skeleton(&'t Skeleton),
    /// One of those that a template with tags takes.
    Shape(Arc<Documents>),
}

impl Form<'_> {
    fn documents(&self) -> &Documents {
        match self {
            Form::Skeleton(skeleton) => skeleton.documents(),
            Form::Shape(documents) => documents,
        }
    }

    /// Returns a number that no other form of this process has; none for a form that is not kept.
    pub fn number(&self) -> Option<u64> {
        self.documents().number()
    }

    /// Returns the objects with [`marks`](mark) in their slots, which are counted from `first`;
    /// `None` where a slot is a key.
    pub fn marked(&self, template: &Template, slots: usize, first: usize) -> Option<Vec<Made>> {
        let marks = (first..first + slots).map(|n| Value::String(mark(n))).collect();
        let made = match self {
            Form::Skeleton(skeleton) => skeleton.fill(&template.file, marks).ok()?,
            Form::Shape(documents) => documents.fill(&template.file, marks, None).ok()?,
        };
        self.documents().has_fixed_keys().then_some(made)
    }
}

/// Returns the text that stands for a slot.
pub fn mark(slot: usize) -> String {
    format!("{MARK_OPEN}{slot}{MARK_CLOSE}")
}

/// Returns the slot that a text stands for, if it is a mark.
pub fn slot_of(text: &str) -> Option<usize> {
    text.strip_prefix(MARK_OPEN)?.strip_suffix(MARK_CLOSE)?.parse().ok()
}

/// Returns true if a mark stands somewhere in a text.
pub fn holds_mark(text: &str) -> bool {
    text.contains([MARK_OPEN, MARK_CLOSE])
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
        self.finish(self.evaluate(context)?, context)
    }

    /// Evaluates the expressions of one unit, and finds the form that their values go into.
    ///
    /// # Errors
    /// An undefined value, a failing expression, or a bound reached, with template:line.
    pub fn evaluate(&self, context: &Context) -> Result<Evaluated<'_>, Violations> {
        meter::start();
        match &self.body {
            Body::Skeleton(skeleton) => {
                let values = skeleton.evaluate(&self.file, context)?;
                Ok(Evaluated::Form(Form::Skeleton(skeleton), values))
            }
            Body::Text(engine, shapes) => {
                let run = || engine.render(&self.file, &self.scanned, context);
                match shapes.evaluate(&self.file, run).map_err(|v| vec![v])? {
                    Some((documents, values)) => Ok(Evaluated::Form(Form::Shape(documents), values)),
                    None => {
                        meter::start();
                        let text = run().map_err(|v| vec![v])?;
                        Ok(Evaluated::Objects(self.parse_rendered(&text)?))
                    }
                }
            }
        }
    }

    /// Makes the objects of what was evaluated in the same context.
    ///
    /// # Errors
    /// Keys that are no text, or that stand twice, with template:line.
    pub fn finish(&self, evaluated: Evaluated<'_>, context: &Context) -> Result<Vec<Made>, Violations> {
        match evaluated {
            Evaluated::Objects(made) => Ok(made),
            Evaluated::Form(Form::Skeleton(skeleton), values) => skeleton.fill(&self.file, values),
            Evaluated::Form(Form::Shape(documents), values) => {
                match (documents.fill(&self.file, values, None), &self.body) {
                    (Ok(made), _) => Ok(made),
                    // What fails here fails in the text too, and is told better there.
                    (Err(_), Body::Text(engine, _)) => {
                        meter::start();
                        let text = engine.render(&self.file, &self.scanned, context);
                        self.parse_rendered(&text.map_err(|v| vec![v])?)
                    }
                    (Err(why), Body::Skeleton(_)) => Err(vec![why]),
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
        let (documents, values) = match shapes.evaluate(&self.file, run) {
            Err(why) => return Some(Err(why)),
            Ok(evaluated) => evaluated?,
        };
        documents.fill(&self.file, values, None).ok().map(Ok)
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
